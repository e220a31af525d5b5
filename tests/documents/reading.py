"""A command as the real command line reads it: options, their values, arguments, formats and keys of the config."""

import shlex
from pathlib import Path

import click

from edgefair.cli import main
from edgefair.cli.options import overrides
from edgefair.config import Config, parse_config
from edgefair.errors import EdgefairError
from edgefair.report.formats.names import FORMATS

# What a document's config is put upon, where it shows a part of one.
BASE = {
    "data": {"source": "people.csv", "label": "hired", "positive": "yes", "sensitive": ["sex"]},
    "policy": {"max_eo_gap": 0.05, "attributes": {"sex": {"groups": ["Female", "Male"]}}},
}


class NotReadError(Exception):
    """A command that the command line does not take."""


def read_command(line: str) -> None:
    """Read `edgefair ...` as far as its work would begin.

    Raises:
        NotReadError: it would be refused.
    """
    words = shlex.split(line, comments=True)
    words = words[: words.index(">")] if ">" in words else words
    assert words[0] == "edgefair", line
    command: click.Command = main
    name: str | None = words[0]
    rest, context = words[1:], None
    try:
        while True:
            context = command.make_context(name, list(rest), parent=context)
            if not isinstance(command, click.Group):
                break
            rest = [*context._protected_args, *context.args]
            name, found, rest = command.resolve_command(context, rest)
            assert found is not None
            command = found
    except click.exceptions.Exit:
        return
    except (click.ClickException, EdgefairError) as error:
        raise NotReadError(f"{line}: {error}") from error
    read_values(line, context)


def read_values(line: str, context: click.Context) -> None:
    """The formats and keys of the config that a command names."""
    for form in context.params.get("formats") or ():
        if form.partition("=")[0] not in FORMATS:
            raise NotReadError(f"{line}: no format '{form}'")
    flags = {name: value for name, value in context.params.items() if "__" in name}
    given = overrides(tuple(context.params.get("settings") or ()), **flags)
    # The options of a set that edgefair makes are of that set alone.
    for made in ("glyphs", "peeps"):
        if any(key.startswith(f"data.{made}.") for key in given):
            given["data.source"] = made
    try:
        read_config(given)
    except EdgefairError as error:
        raise NotReadError(f"{line}: {error}") from error


def read_config(given: dict[str, object]) -> Config:
    """A config of the base and dotted keys."""
    raw: dict[str, dict[str, object]] = {section: dict(keys) for section, keys in BASE.items()}
    for key, value in given.items():
        *sections, last = key.split(".")
        node: dict[str, object] = raw  # type: ignore[assignment]
        for section in sections:
            node = node.setdefault(section, {})  # type: ignore[assignment]
        node[last] = value
    return parse_config(raw, base=Path(), overridden=given)
