"""What is published: a wheel and an sdist, each installed into a clean environment and used. `make test-release`."""

import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from edgefair._version import __version__
from tests.samples.people import write_people

ROOT = Path(__file__).parent.parent.parent
SAMPLES = ROOT / "tests/samples/0.1.0"
MOST_BYTES = 10 << 20
WITH_TORCH = ("torch", "optimum", "torch,networks,text,optimum,sklearn,peeps,launch,tune")
pytestmark = [pytest.mark.long, pytest.mark.release]


def done(*command, **named):
    """The output of a command that succeeds, of a process that sees nothing of this checkout."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"OMP_NUM_THREADS": "1", "COLUMNS": "120"}
    ran = subprocess.run(
        [str(part) for part in command], env=environment, capture_output=True, text=True, check=False, **named
    )
    assert ran.returncode == 0, f"{command}\n{ran.stdout[-3000:]}\n{ran.stderr[-3000:]}"
    return ran.stdout


def environment_at(folder):
    venv.create(folder, with_pip=True)
    return folder / "bin"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder of a wheel and an sdist, built from a copy: what a checkout ignores is not there."""
    folder = tmp_path_factory.mktemp("built")
    names = done("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT).split("\0")[:-1]
    for name in filter(lambda name: (ROOT / name).is_file(), names):
        (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / "source" / name)
    bin_folder = environment_at(folder / "builder")
    done(bin_folder / "pip", "install", "--quiet", "hatchling>=1.27")
    done(bin_folder / "python", "-m", "hatchling", "build", "-d", folder / "dist", cwd=folder / "source")
    return folder / "dist"


def wheel_of(built):
    return built / f"edgefair-{__version__}-py3-none-any.whl"


def sdist_of(built):
    return built / f"edgefair-{__version__}.tar.gz"


def test_the_wheel_is_small_and_holds_the_package_its_data_and_its_licences_and_nothing_else(built):
    assert wheel_of(built).stat().st_size <= MOST_BYTES
    names = set(zipfile.ZipFile(wheel_of(built)).namelist())
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
    with tarfile.open(sdist_of(built)) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for needed in ("pyproject.toml", "LICENSE", "Makefile", "constraints.txt", "tests/test_layout.py", "docs/index.md"):
        assert needed in names
    assert not [name for name in names if "__pycache__" in name or name.startswith((".git/", ".venv", "docs/_build"))]


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_the_base_alone_judges_a_ready_model(built, tmp_path, kind):
    file = wheel_of(built) if kind == "wheel" else sdist_of(built)
    bin_folder = installed(tmp_path, file, "")
    assert "verify" in done(bin_folder / "edgefair", "--help")
    said = done(bin_folder / "edgefair", "doctor")
    assert f"edgefair {__version__}" in said
    shutil.copy(SAMPLES / "edgefair.yaml", tmp_path)
    shutil.copytree(SAMPLES / "bundle", tmp_path / "dist/people")
    write_people(tmp_path / "people.csv")
    flags = ("--no-latency", "--set", "policy.max_latency_p90_ms=null")
    assert "PASS" in done(bin_folder / "edgefair", "verify", *flags, cwd=tmp_path)
    absent = subprocess.run([bin_folder / "python", "-c", "import torch"], capture_output=True, check=False)
    assert absent.returncode


@pytest.mark.parametrize("extras", WITH_TORCH)
def test_a_model_is_trained_compressed_and_judged_with_an_extra(built, tmp_path, extras):
    bin_folder = installed(tmp_path, wheel_of(built), f"[{extras}]")
    write_people(tmp_path / "people.csv")
    edgefair = bin_folder / "edgefair"
    choice = ("--data", "people.csv", "--label", "hired", "--positive", "yes", "--sensitive", "sex")
    done(edgefair, "init", *choice, cwd=tmp_path)
    done(edgefair, "train", "--name", "plain", cwd=tmp_path)
    flags = ("--no-latency", "--max-eo-gap", "0.2", "--set", "policy.max_latency_p90_ms=null")
    done(edgefair, "export", "--int8", "--run", "plain", *flags, cwd=tmp_path)
    assert "PASS" in done(edgefair, "verify", *flags, cwd=tmp_path)


def installed(folder, file, extras):
    """The programs of a clean environment with a wheel or an sdist, by the README's words."""
    bin_folder = environment_at(folder / "venv")
    constraints = ("-c", ROOT / "constraints.txt") if sys.version_info[:2] == (3, 11) else ()
    done(bin_folder / "pip", "install", "--quiet", *constraints, f"edgefair{extras} @ {file.as_uri()}")
    return bin_folder
