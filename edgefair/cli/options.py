"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from edgefair.errors import UsageError

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def config_options(command: Decorated) -> Decorated:
    """`--config` and `--set KEY=VALUE`."""
    command = click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="KEY=VALUE",
        help="Override any key of the config, e.g. --set policy.alpha=0.01. Repeatable.",
    )(command)
    return click.option(
        "-c",
        "--config",
        "config_path",
        type=click.Path(path_type=Path),
        default=Path("edgefair.yaml"),
        show_default=True,
        help="The project's config.",
    )(command)


def json_option(command: Decorated) -> Decorated:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on stdout, nothing else.")(
        command
    )


def overrides(settings: tuple[str, ...], **flags: Any) -> dict[str, Any]:
    """Dotted config keys to override: from `--set` first, then from flags that were given.

    A flag's name is its key with `__` for the dot (`policy__max_eo_gap`); None means that it was not given.

    Raises:
        UsageError: a `--set` that is not KEY=VALUE.
    """
    import yaml

    result: dict[str, Any] = {}
    for item in settings:
        key, separator, value = item.partition("=")
        if not separator or not key:
            raise UsageError(f"--set '{item}' is not KEY=VALUE", expected="for example --set policy.alpha=0.01")
        result[key] = yaml.safe_load(value)
    result |= {name.replace("__", "."): value for name, value in flags.items() if value is not None}
    return result
