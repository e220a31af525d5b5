"""What the commands' help and verdicts of fixed counts say, against `pins.json`.

Where a change is meant: python tools/pins.py record tests/pins.json --part help --part verdicts
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import edgefair

HERE = Path(__file__).parent
ROOT = Path(edgefair.__file__).parent.parent


def check(path, part):
    return subprocess.run(
        [sys.executable, ROOT / "tools/pins.py", "check", path, "--part", part, "--near"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )


@pytest.mark.parametrize("part", ["help", "verdicts"])
def test_help_and_verdicts_are_as_recorded(part):
    done = check(HERE / "pins.json", part)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_check_names_every_pin_that_changed(tmp_path):
    pins = json.loads((HERE / "pins.json").read_text())
    verdict = pins["verdicts"]["pass"]
    verdict["accuracy"] += 1e-6
    verdict["alpha"] *= 1 + 1e-12
    verdict["gates"][0]["outcome"] = "FAIL"
    del pins["verdicts"]["waived"]
    (tmp_path / "pins.json").write_text(json.dumps(pins))
    done = check(tmp_path / "pins.json", "verdicts")
    assert done.returncode == 1
    places = [line.partition(":")[0] for line in done.stdout.splitlines()]
    assert places == ["verdicts / pass / gates / 0 / outcome", "verdicts / pass / accuracy", "verdicts / waived"]
    assert done.stderr == "3 pins changed\n"
