"""The tutorial about a board, behind a real ssh server with a processor that QEMU emulates."""

import getpass
import shlex
import shutil
from pathlib import Path

import pytest

from edgefair.targets import load_profile, transport_of
from tests.pages.shell import DOCS, carry_out
from tests.targets.openssh import serving

BOARD = "qemu:cortex-a72"
# What the page calls the board, and the Python there.
HOST, PYTHON = "raspberrypi.local", "/home/pi/venv/bin/python"


def emulated_python():
    """A command that runs the Python of the emulated board; skips where it is not there."""
    transport = transport_of(load_profile(BOARD))
    lacks = transport.lacks()
    if lacks is not None:
        pytest.skip(lacks)
    command, environment = transport.python()
    return [*(f"{name}={value}" for name, value in environment.items()), *command]


@pytest.mark.target
@pytest.mark.long
def test_a_raspberry_pi_behind_ssh_judges_as_its_tutorial_says(first, tmp_path, monkeypatch):
    command = emulated_python()
    board, tools = tmp_path / "board", tmp_path / "tools"
    for folder in (board, tools):
        folder.mkdir()
    with serving(board, monkeypatch) as server:
        python = board / "python"
        # `-I` would hide the packages of the board, which lie beside its system.
        python.write_text(f'#!/bin/sh\n[ "$1" = -I ] && shift\nexec env -i {shlex.join(command)} "$@"\n')
        python.chmod(0o755)
        replaced = f"s#{PYTHON}#{python}#g"
        server.before.write_text(
            f'SSH_ORIGINAL_COMMAND=$(printf %s "$SSH_ORIGINAL_COMMAND" | sed {shlex.quote(replaced)})\n'
        )
        known = server.folder / "known_hosts"
        known.write_text(known.read_text() + known.read_text().replace(f"[127.0.0.1]:{server.port}", HOST))
        settings = server.folder / "ssh_config"
        alias = ("HostName 127.0.0.1", f"Port {server.port}", f"User {getpass.getuser()}", f"HostKeyAlias {HOST}")
        settings.write_text("\n  ".join((f"Host {HOST}", *alias)) + "\n" + settings.read_text())
        ssh = tools / "ssh"
        ssh.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {settings} "$@"\n')
        ssh.chmod(0o755)
        folder = Path(shutil.copytree(first, tmp_path / "people"))
        carry_out(DOCS / "tutorials/raspberry-pi.md", folder, tools)
