"""The user's own `package.module:factory`: how it is found, what it is given, and who is to blame where it fails."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edgefair.errors import EdgefairError, UsageError, check_options

# Of an error's text.
SHOWN = 300
NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def open_factory(name: str) -> Callable[..., Any]:
    """The function behind `package.module:factory`, importable from the current folder.

    Raises:
        UsageError: not such a name, or it cannot be imported or called.
    """
    module_name, separator, attribute = name.partition(":")
    if not separator or not module_name or not attribute:
        raise UsageError(f"'{name}' does not name a factory", expected="package.module:factory")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        with contextlib.redirect_stdout(sys.stderr):
            factory = getattr(importlib.import_module(module_name), attribute)
    except (Exception, SystemExit) as error:
        raise UsageError(
            f"factory '{name}' cannot be imported: {_first_line(error)}",
            expected="package.module:factory, importable from the current folder",
        ) from error
    if not callable(factory):
        raise UsageError(f"'{name}' is a {type(factory).__name__}", expected="a function that returns the model")
    made: Callable[..., Any] = factory
    return made


def call_factory(
    name: str, options: Mapping[str, Any], *, facts: Mapping[str, Any], factory: Callable[..., Any] | None = None
) -> Any:
    """What a factory returns: the same for training, export and verification. What it prints goes to stderr.

    Args:
        options: keyword arguments that the user gives it; it must take every one.
        facts: what the data says (`features`, `classes`, of texts `vocabulary` and `pad`): each is passed where the
            factory names an argument so, and the user gave it no other value.
        factory: the function that the name stands for, where it is no `package.module:factory`.

    Raises:
        UsageError: no such factory, it does not take these options or needs others, or it fails.
    """
    factory = open_factory(name) if factory is None else factory
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError) as error:
        raise UsageError(f"'{name}' has no readable signature: {error}", fix="wrap it in a def") from error
    taken = [item.name for item in signature.parameters.values() if item.kind in NAMED]
    anything = any(item.kind is item.VAR_KEYWORD for item in signature.parameters.values())
    if not anything:
        check_options(
            f"'{name}'",
            options,
            taken,
            expected=f"options among: {', '.join(item for item in taken if item not in facts) or 'none'}",
            fix=f"fix model.options, which are those of model.network: {name}",
        )
    arguments = {**{fact: value for fact, value in facts.items() if fact in taken}, **options}
    try:
        signature.bind(**arguments)
    except TypeError as error:
        raise UsageError(
            f"'{name}' cannot be called with {', '.join(sorted(arguments)) or 'no arguments'}: {error}",
            expected=f"arguments among {', '.join(facts)}, and options",
            fix=f"set model.network: {name}, and its other arguments under model.options",
        ) from error
    try:
        with contextlib.redirect_stdout(sys.stderr):
            return factory(**arguments)
    except EdgefairError:
        raise
    except (Exception, SystemExit) as error:
        raise UsageError(
            f"factory '{name}' failed: {type(error).__name__}: {_first_line(error)}",
            expected="a function that returns the model",
            fix="run again as `edgefair --debug ...`, which prints where",
        ) from error


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:SHOWN]
