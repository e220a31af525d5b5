"""Options that several commands share."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from edgefair.errors import UsageError
from edgefair.report.formats import FORMATS
from edgefair.workflow.models.kinds import FACTORY, KINDS

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class Number(click.FloatRange):
    """A finite number in a range; NaN, which click lets through, is in none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a number in the range {self._describe_range()}.", param, ctx)
        return number


class Share(Number):
    """A number between 0 and 1, both excluded."""

    def __init__(self) -> None:
        super().__init__(min=0, max=1, min_open=True, max_open=True)


def with_all(command: Decorated, decorators: Sequence[Callable[[Any], Any]]) -> Decorated:
    """The command with several options, which its help lists in this order."""
    for decorator in reversed(decorators):
        command = decorator(command)
    return command


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


def result_options(command: Decorated, *, names: str = "terminal, json or html") -> Decorated:
    """`--format NAME[=FILE]` and `--json`.

    Args:
        names: of the formats that can hold the command's result.
    """
    return click.option(
        "--format",
        "formats",
        multiple=True,
        metavar="NAME[=FILE]",
        help=f"Write the result as {names}, on stdout or to FILE. Repeatable.  [default: terminal]",
    )(json_option(command))


def rows_option(command: Decorated) -> Decorated:
    """`--show-rows`."""
    return click.option(
        "--show-rows",
        type=click.IntRange(1, 48),
        default=None,
        metavar="N",
        help="Also show rows whose decision changed in the page of --format html=FILE, up to N of every cell and each "
        "way: pictures, texts or features. The file holds people's data then, and is for its owner alone.",
    )(command)


def verdict_options(command: Decorated) -> Decorated:
    """`--format` with all formats that hold a verdict, `--json`, and `--no-ci`."""
    in_ci = click.option(
        "--no-ci",
        is_flag=True,
        envvar="EDGEFAIR_NO_CI",
        show_envvar=True,
        help="In GitHub Actions and GitLab, do not write summaries and reports for them (docs/outputs.md).",
    )
    return result_options(in_ci(command), names=", ".join(FORMATS))


def names_models(command: Decorated) -> Decorated:
    """Replace {models} in the help by the kinds of models that there are."""
    command.__doc__ = (command.__doc__ or "").replace("{models}", f"{KINDS} with --weights")
    return command


def weights_option(command: Decorated) -> Decorated:
    """`--weights`."""
    return click.option(
        "--weights",
        type=click.Path(path_type=Path),
        default=None,
        help=f"Weights (.safetensors) of the torch module that {FACTORY} makes.",
    )(command)


def counter_option(command: Decorated) -> Decorated:
    """`--counter`."""
    return click.option(
        "--counter",
        type=click.IntRange(min=0),
        default=None,
        help="Number of this release: a device that requires it refuses earlier ones.",
    )(command)


def reference_audit_options(command: Decorated) -> Decorated:
    """`--reference-audit` and `--reference-audit-key`."""
    audit = click.option(
        "--reference-audit",
        type=click.Path(path_type=Path),
        default=None,
        help="Judge the gap by this audit of the reference, from `verify --write-reference-audit`, and by what "
        "compression changed on the audit rows, of which far fewer are needed then.",
    )
    key = click.option(
        "--reference-audit-key",
        type=click.Path(path_type=Path),
        default=None,
        help="Require that the owner of this ed25519 key (PEM) signed the reference audit.",
    )
    return with_all(command, [audit, key])


def overrides(settings: tuple[str, ...], **flags: Any) -> dict[str, Any]:
    """Dotted config keys to override: from `--set` first, then from flags that were given.

    A flag's name is its key with `__` for the dot (`policy__max_eo_gap`); None means that it was not given.

    Raises:
        UsageError: a `--set` that is not KEY=VALUE, or whose value is not YAML.
    """
    from edgefair.yaml_text import YamlTextError, parse_yaml

    result: dict[str, Any] = {}
    for item in settings:
        key, separator, value = item.partition("=")
        if not separator or not key:
            raise UsageError(f"--set '{item}' is not KEY=VALUE", expected="for example --set policy.alpha=0.01")
        try:
            result[key] = parse_yaml(value)
        except YamlTextError as error:
            raise UsageError(f"the value of --set '{item}' is not YAML: {error}") from error
    result |= {name.replace("__", "."): value for name, value in flags.items() if value is not None}
    return result
