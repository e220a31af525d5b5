"""A network at a share of its width: the student of a distillation."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgefair.errors import ModelError
from edgefair.training.factories import open_factory
from edgefair.training.networks import NETWORKS


def narrower(network: str, options: Mapping[str, Any], share: float) -> dict[str, Any]:
    """The options of a network with this share of its channels; whatever else they say stays.

    `hidden` of an mlp is a list of widths; `width` of most networks a factor; that of a transformer a number of
    channels, of which every head keeps the same number. A student of a transformer with pretrained weights has the
    shape that their config says, and none of the weights: they are of another width.

    Raises:
        ModelError: weights without a config that says how wide they are.
    """
    options = {**_defaults(network), **options}
    if "hidden" in options:
        return {**options, "hidden": [max(1, round(share * size)) for size in options["hidden"]]}
    if not isinstance(options.get("width", 1.0), int):
        return {**options, "width": share * float(options.get("width", 1.0))}
    weights = options.pop("weights", None)
    if weights is not None:
        options |= _shape_of(Path(weights))
    heads = options["heads"]
    return {**options, "width": max(1, round(share * options["width"] / heads)) * heads}


def _defaults(network: str) -> dict[str, Any]:
    """Of the options that say how wide a built-in network is."""
    if network not in NETWORKS:
        return {}
    parameters = inspect.signature(open_factory(NETWORKS[network])).parameters
    return {name: parameters[name].default for name in ("hidden", "width", "heads") if name in parameters}


def _shape_of(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return {
            "width": int(config["hidden_size"]),
            "depth": int(config["num_hidden_layers"]),
            "heads": int(config["num_attention_heads"]),
        }
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelError(
            f"'{folder}' does not say how wide its network is: {error!r}",
            expected="a config.json with hidden_size, num_hidden_layers and num_attention_heads",
            fix="name the student's options yourself (compress.distill.options)",
        ) from error
