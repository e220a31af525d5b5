"""The `edgefair` command in a process of its own; and the help of all commands, for which this one is enough."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

COLUMNS = 100
ENVIRONMENT = {"COLUMNS": str(COLUMNS), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONIOENCODING": "utf-8"}
VERDICTS = {0, 1, 3}


def edgefair(*arguments: str, folder: Path | None = None) -> str:
    """What a command prints on stdout. RuntimeError where it ends without help or a verdict."""
    done = subprocess.run(
        [sys.executable, "-m", "edgefair", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, **ENVIRONMENT},
        check=False,
    )
    if done.returncode not in VERDICTS or not done.stdout:
        raise RuntimeError(f"edgefair {' '.join(arguments)}: exit {done.returncode}\n{done.stderr}")
    return done.stdout


def help_texts() -> dict[str, list[str]]:
    """Command -> the lines of its help, for every command and the commands below it."""
    from click.testing import CliRunner

    from edgefair.cli import main

    texts: dict[str, list[str]] = {}
    waiting: list[tuple[str, ...]] = [()]
    runner = CliRunner(env=ENVIRONMENT)
    while waiting:
        command = waiting.pop(0)
        # As a process of its own shows it; click's runner knows no terminal, of which two columns stay free.
        shown = runner.invoke(
            main,
            [*command, "--help"],
            catch_exceptions=False,
            prog_name="python -m edgefair",
            terminal_width=COLUMNS - 2,
        )
        lines = shown.stdout.splitlines()
        texts[" ".join(("edgefair", *command))] = lines
        waiting += [(*command, name) for name in commands_in(lines)]
    return texts


def commands_in(lines: list[str]) -> list[str]:
    """The names that a help lists in its sections, but for that of options."""
    names, inside = [], False
    for line in lines:
        if not line.startswith(" "):
            inside = line.endswith(":") and line != "Options:"
        elif inside and not line.startswith("   "):
            names.append(line.split()[0])
    return names
