"""The tutorial about a board, whose processor QEMU emulates; the board behind ssh is tests/e2e/test_ssh_export.py."""

import shutil
from pathlib import Path

import pytest

from edgefair.targets import load_profile, transport_of
from tests.pages.shell import DOCS, carry_out

BOARD = "qemu:cortex-a72"


@pytest.mark.target
@pytest.mark.long
def test_an_emulated_raspberry_pi_judges_as_its_tutorial_says(first, tmp_path):
    lacks = transport_of(load_profile(BOARD)).lacks()
    if lacks is not None:
        pytest.skip(lacks)
    folder = Path(shutil.copytree(first, tmp_path / "people"))
    carry_out(DOCS / "tutorials/raspberry-pi.md", folder, tmp_path / "tools")
