"""What is in the wheel and in the sdist."""

import tarfile
import zipfile
from pathlib import Path

import pytest

from edgefair._version import __version__
from tests.platforms.release.environments import ROOT, WHEEL, done

MOST_BYTES = 10 << 20
pytestmark = [pytest.mark.long, pytest.mark.release]


def test_the_wheel_is_small_and_holds_the_package_its_data_and_its_licences_and_nothing_else(built):
    assert built.wheel.stat().st_size <= MOST_BYTES
    names = set(zipfile.ZipFile(built.wheel).namelist())
    assert {name.partition("/")[0] for name in names} == {"edgefair", f"edgefair-{__version__}.dist-info"}
    assert not [
        name for name in names if Path(name).name.startswith("test_") or "__pycache__" in name or name.endswith(".pyc")
    ]
    licences = f"edgefair-{__version__}.dist-info/licenses"
    assert {f"{licences}/LICENSE", f"{licences}/edgefair/data/sets/ATTRIBUTION.md"} <= names
    for needed in ("edgefair/py.typed", "edgefair/data/sets/census_income_kdd.parquet"):
        assert needed in names
    shipped = [path.relative_to(ROOT) for part in ("deploy", "calibration") for path in (ROOT / part).rglob("*.yaml")]
    assert {f"edgefair/_shipped/{path.as_posix()}" for path in shipped} <= names


def test_the_sdist_holds_what_builds_tests_and_documents_it(built):
    with tarfile.open(built.sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for needed in ("pyproject.toml", "LICENSE", "Makefile", "constraints.txt", "tests/test_layout.py", "docs/index.md"):
        assert needed in names
    assert not [name for name in names if "__pycache__" in name or name.startswith((".git/", ".venv", "docs/_build"))]


def test_the_wheel_that_the_sdist_makes_is_the_published_one_file_by_file(built, tmp_path):
    """So that what an extra brings is the same from both."""
    done(built.builder / "python", "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path, cwd=built.clone)
    assert contents(tmp_path / WHEEL) == contents(built.wheel)


def contents(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
