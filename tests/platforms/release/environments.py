"""Clean environments, what is published installed into them by the README's words, and the programs that they have."""

import contextlib
import json
import os
import random
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from edgefair._version import __version__
from tests.samples.people import write_people

ROOT = Path(__file__).parent.parent.parent.parent
SAMPLES = ROOT / "tests/samples/0.1.0"
WHEEL = f"edgefair-{__version__}-py3-none-any.whl"
NOTHING_TIMED = ("--no-latency", "--set", "policy.max_latency_p90_ms=null")


def done(*command, seconds=1800, **named):
    """What a command printed that succeeds, of a process that sees nothing of this checkout."""
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTHONHOME"}}
    # Files are compiled when they are first imported: half of an installation's time goes into those that never are.
    environment |= {"OMP_NUM_THREADS": "1", "COLUMNS": "120", "PIP_COMPILE": "0", **named.pop("environment", {})}
    ran = subprocess.run(
        [str(part) for part in command],
        env=environment, capture_output=True, text=True, check=False, timeout=seconds, **named,
    )  # fmt: skip
    assert ran.returncode == 0, f"{command}\n{ran.stdout[-3000:]}\n{ran.stderr[-3000:]}"
    return ran.stdout


def words_of_the_readme():
    """The README's command that installs edgefair with an extra in the folder of a clone: its words."""
    (line,) = [line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("pip install -c ")]
    words = shlex.split(line, comments=True)
    assert words == ["pip", "install", "-c", "constraints.txt", ".[torch]"]
    return words


class Environment:
    """A clean environment, and a folder to work in.

    Attributes:
        folder: where its programs are started.
    """

    def __init__(self, place, folder, python=sys.executable):
        self.folder = folder
        self._programs = place / "bin"
        done(python, "-m", "venv", "--clear", place)

    def run(self, program, *arguments, **named):
        return done(self._programs / program, *arguments, **{"cwd": self.folder, **named})

    def edgefair(self, *arguments):
        return self.run("edgefair", *arguments)

    def install(self, folder, what):
        """Install a thing that lies in a folder, by the README's words for a clone.

        Args:
            what: `.` or the name of a file, with an extra in brackets.
        """
        program, *arguments, _ = words_of_the_readme()
        self.run(program, *arguments, what, cwd=folder)

    def imports(self, *modules):
        """Which of them can be imported here."""
        asked = "import importlib.util as u, sys; print(*(name for name in sys.argv[1:] if u.find_spec(name)))"
        return set(self.run("python", "-c", asked, *modules).split())

    def ready(self):
        """Extras that `doctor` finds complete, and targets that lack nothing."""
        found = json.loads(self.edgefair("doctor", "--json"))
        assert found["version"] == __version__
        extras = {extra["name"] for extra in found["extras"] if extra["ready"]}
        return extras, {target["name"] for target in found["targets"] if target["lacks"] is None}


@contextlib.contextmanager
def environment(folder, python=sys.executable):
    """A clean environment that is removed at the end, as it may hold gigabytes."""
    place = folder / "environment"
    (folder / "work").mkdir()
    try:
        yield Environment(place, folder / "work", python)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def lay_out_a_bundle(folder):
    """A project with a bundle that 0.1.0 wrote, and its rows."""
    shutil.copy(SAMPLES / "edgefair.yaml", folder)
    shutil.copytree(SAMPLES / "bundle", folder / "dist/people")
    write_people(folder / "people.csv")


def judge(installed):
    """A bundle is judged, by the base alone."""
    lay_out_a_bundle(installed.folder)
    assert "verify" in installed.edgefair("--help")
    assert "" in installed.ready()[0]
    assert "PASS" in installed.edgefair("verify", *NOTHING_TIMED)


def write_table(path):
    """People whose hours say much about whether they were hired, and the same whatever their sex."""
    draw = random.Random(3)
    lines = ["hours,years,sex,hired"]
    for _ in range(2400):
        hired = draw.random() < 0.5
        hours, years, sex = draw.gauss(49 if hired else 31, 6), draw.gauss(10, 3), draw.choice(["Female", "Male"])
        lines.append(f"{hours:.2f},{years:.2f},{sex},{'yes' if hired else 'no'}")
    path.write_text("\n".join(lines) + "\n")


def begin(installed):
    """The config of a table, as the README says to make it."""
    write_table(installed.folder / "people.csv")
    columns = ("--label", "hired", "--positive", "yes", "--sensitive", "sex")
    installed.edgefair("init", "--data", "people.csv", *columns)


def from_a_table_to_a_verdict(installed, training=()):
    """A model is trained, compressed and judged.

    Args:
        training: flags of `train`.
    """
    begin(installed)
    installed.edgefair("train", "--name", "plain", "--epochs", "10", *training)
    flags = (*NOTHING_TIMED, "--max-eo-gap", "0.2")
    assert "PASS" in installed.edgefair("export", "--int8", "--run", "plain", *flags)
    assert "PASS" in installed.edgefair("verify", *flags)
