"""A page carried out in a folder: files are written, and commands typed into one shell with the real program."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

from tests.e2e.forked import program
from tests.pages.matching import first_unlike
from tests.pages.reading import Typed, steps

DOCS = Path(__file__).parents[2] / "docs"
MARK = "@@@ done"
# A verdict that blocks is no mistake of a page that asks for its exit code next.
ASKS = "echo $?"
# pytest finds the plugin of an installed edgefair; one that runs from its sources may list none.
PLUGIN = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "edgefair.workflow.pytest_plugin"}
OF_THE_SURROUNDINGS = ("GITHUB_ACTIONS", "GITLAB_CI", "EDGEFAIR_NO_CI", "COLUMNS")


def carry_out(page: Path, folder: Path, tools: Path) -> None:
    """Do in `folder` what the page says, and compare what comes out; `tools` is a folder for programs."""
    script, commands = [], []
    for step in steps(page):
        if isinstance(step, Typed):
            script += [step.command, f"(code=$?; echo; echo '{MARK}' $code; exit $code)"]
            commands.append(step)
        else:
            name = shlex.quote(step.name)
            script.append(f"mkdir -p $(dirname {name}) && printf %s {shlex.quote(step.text)} > {name}")
    assert commands, page
    tools.mkdir(exist_ok=True)
    (tools / "page.sh").write_text("\n".join(script))
    path = os.pathsep.join((str(tools), str(Path(sys.executable).parent), os.environ["PATH"]))
    kept = {key: value for key, value in os.environ.items() if key not in OF_THE_SURROUNDINGS}
    with program(tools):
        done = subprocess.run(
            ["bash", tools / "page.sh"],
            cwd=folder,
            env=kept | PLUGIN | {"PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    compare(page, commands, done.stdout)


def compare(page: Path, commands: list[Typed], said: str) -> None:
    """Hold what each command said against the page."""
    outputs = said.split(f"\n{MARK} ")
    code, output = 0, outputs[0]
    for number, command in enumerate(commands):
        assert number + 1 < len(outputs), f"{page.name}: the shell ended in line {command.line}: {output}"
        ended, _, after = outputs[number + 1].partition("\n")
        code = int(ended)
        blocked_and_said = any(following.command == ASKS for following in commands[number + 1 : number + 2])
        assert code == 0 or blocked_and_said, f"{page}:{command.line}: exit code {code}\n{output}"
        unlike = first_unlike(list(command.shown), output.splitlines()) if command.shown else None
        assert unlike is None, f"{page}:{command.line}: {command.command}\nnot as shown: {unlike}\n\n{output}"
        output = after
