"""The image for CI, built and used: every line of its file is run, but the one that names a base out of reach here.

The base is made of Debian's packages instead: a root file system with a Python as `python`, and pip. Wheels are
fetched before; the build and the container see no network.
"""

import functools
import re
import shutil
import stat

import pytest

from tests.platforms.release.environments import NOTHING_TIMED, done, lay_out_a_bundle
from tests.targets.containers import working

pytestmark = [pytest.mark.long, pytest.mark.release]
FILE = "deploy/image/Containerfile"
BASE, IMAGE = "localhost/edgefair-test-base", "localhost/edgefair-test-ci"
# What the published base is beyond a Python of Debian: a program `python`, and packages that pip may install.
HOOKS = ('ln -s /usr/bin/python3 "$1/usr/local/bin/python"', 'rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED')
# Suites of Debian whose Python edgefair allows. Later ones take `packaging` from Debian, which pip cannot replace.
SUITES = ("bookworm",)


@functools.cache
def engine():
    """A container engine that can build and run here; skips where there is none."""
    found = working()
    if isinstance(found, str):
        pytest.skip(found)
    if not found.program.endswith("podman") or shutil.which("mmdebstrap") is None:
        pytest.skip("podman and mmdebstrap make the image, and one of them is not installed")
    return found


def ask(*arguments, **named):
    return done(engine().program, *arguments, environment=engine().environment, **named)


def import_base(suite, folder):
    """The image of a root file system that Debian's packages make."""
    packed = folder / f"{suite}.tar"
    hooks = [f"--customize-hook={hook}" for hook in HOOKS]
    done("mmdebstrap", "--variant=apt", "--include=python3,python3-pip", *hooks, suite, packed)
    ask("import", packed, f"{BASE}:{suite}")
    packed.unlink()
    return f"{BASE}:{suite}"


@pytest.fixture(params=SUITES)
def image(request, built, tmp_path):
    """Name of the image, built from the sources by its own words."""
    engine()
    base = import_base(request.param, tmp_path)
    said = (built.sources / FILE).read_text()
    (wheel,) = re.findall(r"^#   (python -m pip wheel .*)$", said, re.MULTILINE)
    done(built.builder / "python", *wheel.split()[1:], cwd=built.sources)
    version = ask("run", "--rm", base, "python", "-c", "import sys; print('%d.%d' % sys.version_info[:2])").strip()
    wheels, settings = tmp_path / "wheels", tmp_path / "pip.conf"
    done(
        built.builder / "pip", "download", "--quiet", "--only-binary=:all:", "--python-version", version,
        "-c", "constraints.txt", "-d", wheels, built.wheel, cwd=built.shelf,
    )  # fmt: skip
    settings.write_text("[global]\nno-index = true\nfind-links = /wheels\n")
    mounts = ("-v", f"{wheels}:/wheels:ro", "-v", f"{settings}:/etc/pip.conf:ro")
    ask("build", "--from", base, "--network", "none", *mounts, "-f", FILE, "-t", IMAGE, ".", cwd=built.sources)
    yield IMAGE
    ask("rmi", "--force", IMAGE, base)


def test_the_image_judges_a_bundle_as_an_ordinary_user_without_a_network(image, tmp_path):
    project = tmp_path / "project"
    project.mkdir()
    lay_out_a_bundle(project)
    for path in (project, *project.rglob("*")):
        path.chmod(stat.S_IRWXU | stat.S_IRWXG | stat.S_IRWXO)
    run = ("run", "--rm", "--network", "none", "-v", f"{project}:/work")
    assert "verify" in ask(*run, image)
    assert ask(*run, "--entrypoint", "id", image, "-u").strip() == "10001"
    assert "PASS" in ask(*run, image, "verify", *NOTHING_TIMED)
