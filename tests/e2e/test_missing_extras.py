"""Without an extra's packages, what needs them says what to install, and is no internal error."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import edgefair
from edgefair.installed import command_for
from tests.e2e.commands import CONFIG, write_people

ROOT = Path(edgefair.__file__).parent.parent
# A finder before all others that knows of no such package.
WITHOUT = """
import sys
package = sys.argv.pop(1)
class Missing:
    def find_spec(name, *_):
        if name.partition(".")[0] == package:
            raise ModuleNotFoundError(f"No module named '{package}'", name=package)
sys.meta_path.insert(0, Missing)
from edgefair.cli import main
main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bare")
    write_people(folder)
    (folder / "edgefair.yaml").write_text(CONFIG.format(label="fair", other="unfair"))
    (folder / "m.pt2").write_bytes(b"")
    (folder / "m.skops").write_bytes(b"")
    (folder / "hub").mkdir()
    return folder


@pytest.mark.parametrize(
    ("package", "extra", "command"),
    [
        ("torch", "torch", ["train"]),
        ("torch", "tune", ["train", "--tune", "2"]),
        ("torch", "torch", ["diagnose"]),
        ("torch", "torch", ["verify", "m.pt2"]),
        ("optuna", "tune", ["train", "--tune", "2"]),
        ("accelerate", "launch", ["train", "--launcher", "accelerate"]),
        ("skops", "sklearn", ["verify", "m.skops"]),
    ],
)
def test_the_extra_is_named(project, package, extra, command):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, package, *command],
        capture_output=True,
        text=True,
        cwd=project,
        env={"PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]), "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 2, done.stderr
    assert f"needs {package}, which cannot be imported" in done.stderr
    assert command_for(extra) in done.stderr
    assert "internal error" not in done.stderr
