"""What the networks of `transformers` share: made from a config or from a local folder, logits out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from edgefair.errors import ModelError, UsageError, missing_extra

# Pictures up to this side keep their resolution at the beginning: a stem for photographs leaves them 2 x 2 cells.
SMALL = 64
# Layers that a new task trains anew; a network of masked words has no pooler.
NEW_LAYERS = ("classifier", "pooler")
# Of names in an error.
NAMED = 3
SAVE_TUNED = "save the fine-tuned model"


def transformers() -> Any:
    """The package.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import transformers as package
    except ImportError as error:
        raise missing_extra("this network", "networks", error) from error
    return package


def made(kind: Any, config: Any, *, weights: str | None, classes: int) -> Any:
    """The model of class `kind`: random from the config, or with the weights of a local folder and a new last layer.

    Raises:
        ModelError: the folder holds no weights as safetensors, or those of another architecture.
    """
    if weights is None:
        return kind(config)
    folder = Path(weights)
    if not (folder / "config.json").is_file() or not any(folder.glob("*.safetensors")):
        raise ModelError(
            f"'{weights}' holds no config.json with weights as safetensors",
            expected="a local folder that save_pretrained wrote; pickled weights are never loaded",
        )
    try:
        with _without_advice():
            model, report = kind.from_pretrained(
                folder,
                num_labels=classes,
                ignore_mismatched_sizes=True,
                local_files_only=True,
                use_safetensors=True,
                output_loading_info=True,
            )
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"'{weights}' cannot be loaded: {str(error).splitlines()[0]}") from error
    if model.config.model_type != config.model_type:
        raise ModelError(f"'{weights}' is a {model.config.model_type}", expected=f"a {config.model_type}")
    check_loaded(model, report, folder, new=NEW_LAYERS)
    return model


@contextlib.contextmanager
def _without_advice() -> Iterator[None]:
    """`transformers` advises to train the new layers, which is what follows; `check_loaded` says what else is amiss."""
    log = transformers().logging
    before = log.get_verbosity()
    log.set_verbosity_error()
    try:
        yield
    finally:
        log.set_verbosity(before)


def check_loaded(model: Any, report: Mapping[str, Any], folder: Path, *, new: tuple[str, ...] = ()) -> None:
    """Refuse weights that transformers replaced by random numbers, or that are no numbers.

    Args:
        model: as it was loaded, with `ignore_mismatched_sizes`.
        report: what `output_loading_info` gave.
        new: layers that are trained anew whatever the folder holds, by a part of their names.

    Raises:
        ModelError: it names them.
    """
    # Names, or names with both shapes: releases of transformers differ.
    names = sorted(item if isinstance(item, str) else item[0] for item in report["mismatched_keys"])
    needed = model.state_dict()
    wrong = [f"{name}, of which it needs {list(needed[name].shape)}" for name in names if not _is_new(name, new)]
    if wrong:
        raise ModelError(
            f"{len(wrong)} weights in '{folder}' do not fit its config.json: {_some(wrong)}",
            expected="the config.json that save_pretrained wrote beside these weights",
            fix="copy config.json and model.safetensors from the same save",
        )
    lacking = [name for name in sorted(report["missing_keys"]) if not _is_new(name, new)]
    if lacking:
        raise ModelError(f"model.safetensors in '{folder}' lacks weights: {_some(lacking)}", fix=SAVE_TUNED)
    broken = [name for name, value in model.state_dict().items() if not bool(value.isfinite().all())]
    if broken:
        raise ModelError(
            f"{len(broken)} weights in '{folder}' have NaN or infinite numbers: {_some(broken)}",
            fix="save the model of a step before training diverged",
        )


def _is_new(name: str, new: tuple[str, ...]) -> bool:
    return any(part in name.split(".") for part in new)


def _some(names: list[str]) -> str:
    return ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")


def picture_features(network: str, features: tuple[int, ...]) -> tuple[int, int, int]:
    """Channels, height and width.

    Raises:
        UsageError: the data holds no pictures.
    """
    if len(features) != 3:
        raise UsageError(
            f"network '{network}' takes pictures [channels, height, width], and a row of this data is {features}",
            fix="set data.picture, or choose the network mlp",
        )
    channels, height, width = features
    return channels, height, width


def scaled(sizes: tuple[int, ...], width: float) -> list[int]:
    """Channel numbers times `width`, in steps of 8, for which kernels are fast."""
    return [max(8, round(size * width / 8) * 8) for size in sizes]


class LogitsOnly(nn.Module):
    """A model of transformers that returns its logits."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> Tensor:
        """[rows, channels, height, width] -> logits [rows, classes]."""
        logits: Tensor = self.model(pixels).logits
        return logits
