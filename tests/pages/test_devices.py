"""Tutorials about devices: a board, emulated and behind ssh, and an NPU in the simulator of its maker."""

import json
import shutil
import sys
from pathlib import Path

import onnxruntime
import pytest

from edgefair.probe.boot import READY
from edgefair.targets import load_profile, transport_of
from tests.exporters.qnn_simulator import simulator
from tests.pages.shell import DOCS, carry_out
from tests.targets.openssh import serving

EMULATED = "qemu:cortex-a72"
# The board as the page calls it.
HOST = "raspberrypi.local"


@pytest.fixture
def board(tmp_path, monkeypatch):
    """A server that was started on before, so that its virtual environment is there."""
    folder = tmp_path / "board"
    folder.mkdir()
    with serving(folder, monkeypatch) as made:
        here = Path(sys.executable)
        made.before.write_text(f"PATH={here.parent}:$PATH\n")
        environment = made.home / ".cache/edgefair/venv"
        (environment / "bin").mkdir(parents=True)
        program(environment / "bin/python", str(here))
        packages = ["numpy", f"onnxruntime=={onnxruntime.__version__}"]
        (environment / READY).write_text(json.dumps([sys.version, *packages]))
        yield made


def program(path, command):
    """A program that is another one with these first arguments."""
    path.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    path.chmod(0o755)


def known_to_ssh(board, tools):
    """Give the shell an `ssh` whose user has a Host entry for the board."""
    tools.mkdir()
    config = board.folder / "ssh_config"
    config.write_text(f"Host {HOST}\n  HostName 127.0.0.1\n  Port {board.port}\n{config.read_text()}")
    program(tools / "ssh", f"{shutil.which('ssh')} -F {config}")


@pytest.mark.target
@pytest.mark.long
def test_a_raspberry_pi_emulated_and_behind_ssh_judges_as_its_tutorial_says(board, first, tmp_path):
    lacks = transport_of(load_profile(EMULATED)).lacks()
    if lacks is not None:
        pytest.skip(lacks)
    folder = Path(shutil.copytree(first, tmp_path / "people"))
    known_to_ssh(board, tmp_path / "tools")
    carry_out(DOCS / "tutorials/raspberry-pi.md", folder, tmp_path / "tools")


@pytest.mark.runtimes
@pytest.mark.long
def test_a_simulated_npu_judges_as_its_tutorial_says(request, tmp_path):
    simulator()
    folder = Path(shutil.copytree(request.getfixturevalue("first"), tmp_path / "people"))
    carry_out(DOCS / "tutorials/npu.md", folder, tmp_path / "tools")
