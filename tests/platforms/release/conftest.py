"""What is published, built once."""

import shutil
import sys
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from edgefair._version import __version__
from tests.platforms.release.environments import ROOT, WHEEL, done


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """What a release consists of, and what pip makes of it.

    A namespace of `wheel` and `sdist`, the two files; `sources`, what they were built from: a copy without what a
    checkout ignores; `clone`, the sdist unpacked; `shelf`, a folder with the wheel and constraints.txt.
    """
    folder = tmp_path_factory.mktemp("built")
    sources, clones, shelf = folder / "sources", folder / "clones", folder / "shelf"
    names = done("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT).split("\0")[:-1]
    for name in filter(lambda name: (ROOT / name).is_file(), names):
        (sources / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, sources / name)
    programs = folder / "builder/bin"
    done(sys.executable, "-m", "venv", programs.parent)
    done(programs / "pip", "install", "--quiet", "hatchling>=1.27")
    done(programs / "python", "-m", "hatchling", "build", "-d", folder / "dist", cwd=sources)
    shelf.mkdir()
    wheel = Path(shutil.copy(folder / "dist" / WHEEL, shelf))
    shutil.copy(ROOT / "constraints.txt", shelf)
    sdist = folder / f"dist/edgefair-{__version__}.tar.gz"
    with tarfile.open(sdist) as archive:
        archive.extractall(clones, filter="data")
    (clone,) = clones.iterdir()
    return SimpleNamespace(wheel=wheel, sdist=sdist, sources=sources, clone=clone, shelf=shelf, builder=programs)
