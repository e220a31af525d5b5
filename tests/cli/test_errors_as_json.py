"""Where JSON was asked for, an error is JSON: of every command, also where the command has no `--json` of its own."""

import json

import click
import pytest

from edgefair.cli import COMMANDS, main
from tests.e2e.commands import run

ARGUMENTS = {
    "compare": ["a.onnx", "b.onnx"],
    "explain": ["a.onnx"],
    "verify": ["a.onnx"],
    "report": ["none.json"],
    "inspect": ["none"],
    "check": ["none.yaml"],
    "sign": ["none", "--key", "none.key"],
    "policy sign": ["--key", "none.key"],
    "policy check": ["none.json", "--public-key", "none.pub"],
    "target list": ["none.yaml"],
    "target prepare": ["none.yaml"],
    "target probe": ["none.yaml"],
    "target loader": ["-o", "none/loader.zip"],
    "init": ["--data", "none.csv"],
    "doctor": ["--format", "none"],
}


def commands():
    """Every command, those of groups by both names."""
    with click.Context(main) as context:
        for name in COMMANDS:
            command = main.get_command(context, name)
            if isinstance(command, click.Group):
                yield from (f"{name} {inner}" for inner in command.commands)
            else:
                yield name


@pytest.mark.parametrize("name", list(commands()))
def test_an_error_is_json_where_json_was_asked_for(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run(*name.split(), *ARGUMENTS.get(name, []), "--json")
    said = json.loads(done.stdout)
    assert done.exit_code == 2
    assert said["schema"] == "edgefair.error/1"
    assert said["exit_code"] == 2
    assert said["found"].splitlines()[0] in done.stderr
