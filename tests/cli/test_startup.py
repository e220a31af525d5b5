"""What a command must not load: every use of it would pay for that."""

import gc
import subprocess
import sys

import pytest
from click.testing import CliRunner

from edgefair.cli import RARELY, main

# Each takes longer to load than a small verdict takes.
HEAVY = {"pandas", "torch", "scipy.stats", "scipy.optimize", "scipy.sparse", "scipy.linalg", "sklearn", "transformers"}
# What draws, reads or rewrites pictures and graphs, and what reads decisions that somebody brings.
NOT_TO_JUDGE_TABLES = {"onnx", "google.protobuf", "PIL", "edgefair.workflow.measurement.brought.verify"}
AFTER = """
import sys
from edgefair.cli import main
try:
    main(sys.argv[1:])
except SystemExit as ended:
    print(ended.code, *sys.modules, file=sys.stderr)
"""


def loaded_by(*arguments):
    """Exit code of a command in a process of its own, and what that has loaded."""
    command = [sys.executable, "-c", AFTER, *map(str, arguments)]
    code, *modules = subprocess.run(command, capture_output=True, text=True, check=True).stderr.splitlines()[-1].split()
    return int(code), set(modules)


def test_help_loads_no_numpy_and_no_command():
    code, modules = loaded_by("--help")
    assert code == 0
    assert not modules & (HEAVY | {"numpy", "pydantic", "rich", "jinja2", "importlib.metadata", "edgefair.config"})
    assert not [name for name in modules if name.startswith("edgefair.cli.commands.")]


def test_a_process_of_its_own_looks_for_garbage_rarely_and_one_that_calls_the_command_as_often_as_it_did(monkeypatch):
    usual = gc.get_threshold()
    assert CliRunner().invoke(main, ["--version"]).exit_code == 0
    assert gc.get_threshold() == usual
    monkeypatch.setattr(sys, "argv", ["edgefair", "--version"])
    try:
        gc.set_threshold(700, 10, 10)
        with pytest.raises(SystemExit):
            main()
        assert gc.get_threshold() == RARELY
    finally:
        gc.set_threshold(*usual)
