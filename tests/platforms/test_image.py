"""The image for CI, as far as it can be read: what it copies is there, and it runs as nobody special."""

import fnmatch
import re
from pathlib import Path

import pytest

from edgefair._version import __version__

ROOT = Path(__file__).parent.parent.parent
FILE = ROOT / "deploy/image/Containerfile"
MADE = f"dist/edgefair-{__version__}-py3-none-any.whl"


def instructions(path):
    """Its instructions in their order, each with what follows; lines that go on are one."""
    text = re.sub(r"\\\n", " ", path.read_text())
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line.strip() and not line.startswith("#")]


@pytest.mark.parametrize("path", [FILE, ROOT / "deploy/device/Containerfile"], ids=["ci", "device"])
def test_an_image_begins_with_a_python_that_is_supported_and_ends_as_an_ordinary_user(path):
    found = instructions(path)
    words = [word for word, _ in found]
    assert set(words) <= {"FROM", "ARG", "COPY", "RUN", "USER", "WORKDIR", "EXPOSE", "ENTRYPOINT", "CMD"}
    assert re.fullmatch(r"docker\.io/library/python:3\.1[1-4]-slim", dict(found)["FROM"])
    assert dict(found)["USER"] != "root"
    assert words.index("USER") < words.index("ENTRYPOINT")


def test_what_the_image_copies_is_in_the_checkout_or_made_by_the_command_above_it():
    (copied,) = [rest.split()[:-1] for word, rest in instructions(FILE) if word == "COPY"]
    assert [name for name in copied if not (ROOT / name).is_file() and not fnmatch.fnmatch(MADE, name)] == []
    assert "pip wheel --no-deps --wheel-dir dist ." in FILE.read_text()


def test_its_versions_are_pinned():
    (install,) = [rest for word, rest in instructions(FILE) if word == "RUN"]
    assert "--constraint" in install
    assert "--only-binary=:all:" in install, "nothing is built from sources that no wheel holds"
