"""The wheel on every Python that it names, as far as one is here: on PATH as `python3.12`, or of pyenv."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.platforms.release.environments import ROOT, environment, judge

pytestmark = [pytest.mark.long, pytest.mark.release]
CLASSIFIERS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
VERSIONS = re.findall(r"Python :: (3\.\d+)", "\n".join(CLASSIFIERS))
# The tests' own is what every other installation here is made with.
OTHERS = [version for version in VERSIONS if version != f"3.{sys.version_info.minor}"]


def interpreter(version):
    """A Python of a version; None where this machine has none."""
    of_pyenv = sorted((Path.home() / ".pyenv/versions").glob(f"{version}.*/bin/python3"))
    on_path = shutil.which(f"python{version}")
    # pyenv puts a program of that name on PATH also where it is not chosen, which then only says so.
    works = (
        on_path is not None and subprocess.run([on_path, "--version"], capture_output=True, check=False).returncode == 0
    )
    return on_path if works else (of_pyenv[-1] if of_pyenv else None)


@pytest.mark.parametrize("version", OTHERS)
def test_the_base_judges_a_ready_model_and_compiles_without_a_warning(built, tmp_path, version):
    python = interpreter(version)
    if python is None:
        pytest.skip(f"Python {version} is not here")
    with environment(tmp_path, python) as place:
        place.install(built.shelf, f"./{built.wheel.name}")
        judge(place)
        where = place.run(
            "python", "-c", "import pathlib, edgefair; print(pathlib.Path(edgefair.__file__).parent)"
        ).strip()
        assert f"python{version}" in where
        place.run("python", "-W", "error", "-m", "compileall", "-q", "-f", where)


def test_the_versions_that_the_package_names_are_those_that_it_allows():
    (allowed,) = re.findall(r'requires-python = ">=3\.(\d+),<3\.(\d+)"', (ROOT / "pyproject.toml").read_text())
    assert [f"3.{minor}" for minor in range(int(allowed[0]), int(allowed[1]))] == VERSIONS
