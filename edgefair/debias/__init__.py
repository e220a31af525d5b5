"""Debiasing methods by name. The table is data: listing them imports nothing."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

from edgefair.debias.base import Cells, Debias
from edgefair.errors import UsageError, did_you_mean

METHODS: Mapping[str, str] = {
    "reweigh": "edgefair.debias.reweigh:Reweigh",
    "eo-penalty": "edgefair.debias.eo_penalty:EoPenalty",
}


def open_method(name: str, options: Mapping[str, Any]) -> Debias:
    """The debiasing method called `name`, with its options.

    Raises:
        UsageError: an unknown method, or an option that the method does not have.
    """
    if name not in METHODS:
        raise UsageError(
            f"unknown debias method '{name}'{did_you_mean(name, METHODS)}", expected=f"one of {', '.join(METHODS)}"
        )
    module, _, attribute = METHODS[name].partition(":")
    method = getattr(importlib.import_module(module), attribute)
    known = list(inspect.signature(method).parameters)
    for option in options:
        if option not in known:
            raise UsageError(
                f"debias method '{name}' has no option '{option}'{did_you_mean(option, known)}",
                expected=f"options of '{name}': {', '.join(known)}",
            )
    opened: Debias = method(**options)
    return opened


__all__ = ["METHODS", "Cells", "Debias", "open_method"]
