"""`verify`, `export` and the loader on other systems, played by a process that has no more than they give."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import edgefair
from edgefair.probe.bundles.files import inside
from edgefair.probe.bundles.settings import judged_alike
from edgefair.targets.sections import DeviceClass
from tests.bundle.small_bundle import judged, private_key, public_pem, write_key
from tests.samples.people import write_people

ROOT = Path(__file__).parent.parent.parent
SAMPLES = ROOT / "tests/samples/0.1.0"
PACKAGE = Path(edgefair.__file__).parent
# Where what systems do differently is asked.
ONE_PLACE = "probe/system"


TIMED = [pytest.param(name, "timed", marks=pytest.mark.long) for name in ("macos", "windows")]


@pytest.mark.e2e
@pytest.mark.parametrize(("system", "timed"), [("windows", "untimed"), *TIMED])
def test_a_ready_model_is_verified_exported_and_loaded(tmp_path, system, timed):
    for name in ("edgefair.yaml", "public.pem"):
        shutil.copy(SAMPLES / name, tmp_path / name)
    shutil.copytree(SAMPLES / "bundle", tmp_path / "dist/people")
    write_people(tmp_path / "people.csv")
    # On Windows the bits of a file do not say who reads it.
    write_key(tmp_path / "key.pem", mode=0o600 if system == "macos" else 0o644)
    (tmp_path / "new.pem").write_bytes(public_pem(private_key()))
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.platforms.other_system", system, tmp_path, timed],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["outcomes"] == ["PASS", "PASS"]
    assert found["decisions"] == ["yes", "no"]
    assert found["left"] == [], "nothing under way is left"
    device = found["report"]["targets"][0]["device"]
    assert device["machine"] == {"macos": "arm64", "windows": "AMD64"}[system]
    assert not {"flags", "pinned", "governor", "temperature_c"} & device.keys(), "what cannot be read is absent"
    assert device["cores"] > 0
    footprint = found["report"]["targets"][0]["evidence"].get("footprint")
    assert (footprint is None) == (timed == "untimed")
    assert footprint is None or footprint["peak_bytes"] is None, "a peak that nobody tells is not zero"


def test_an_x86_processor_whose_instruction_sets_are_unknown_is_like_its_own_kind_alone():
    known = {"machine": "AMD64", "cpu": "Intel64 Family 6 Model 140"}
    bundle = [judged(known)]
    assert judged_alike(known, bundle, None, {})
    with pytest.raises(ValueError, match=r"Model 85.*unknown instruction sets.*judged on AMD64 .*Model 140"):
        judged_alike({**known, "cpu": "Intel64 Family 6 Model 85"}, bundle, None, {})
    with pytest.raises(ValueError, match="decisions may differ"):
        judged_alike({**known, "flags": []}, bundle, None, {})
    assert "cannot be read" in DeviceClass(flags=("avx2",)).mismatch(known).found


@pytest.mark.parametrize("name", [r"..\model.onnx", r"a\b", "C:model.onnx", "report.json:stream"])
def test_no_file_of_a_bundle_is_named_as_only_windows_would_read_it(name):
    assert not inside(name)


# The probe of a device behind ssh or in a container becomes it on Linux, and one text starts it there.
OF_LINUX = ("probe/boot.py", "targets/transports/bootstrap.py", "targets/transports/emulation.py", "probe/clock/")
MODULES = re.compile(r"^\s*(?:import|from) (fcntl|resource|pwd|grp|termios|pty|msvcrt|winreg)\b", re.MULTILINE)
LACKING = re.compile(
    r"\bos\.(memfd_create|sched_\w+|pread|pwrite|fchmod|geteuid|getuid|uname|mkfifo|statvfs|link|fork|killpg|setsid|"
    r"O_NOFOLLOW|O_DIRECTORY|O_NONBLOCK|O_NOCTTY|O_CLOEXEC|O_TMPFILE)\b|\"/proc/"
)
TEXTS = re.compile(r"\.(?:read_text|write_text)\((?!.*encoding=|\"utf-8\").*\)|\.write_text\((?!.*newline=).*\)")


def elsewhere(*patterns):
    """What is asked of the system, by the files outside of the one place for that."""
    return [
        (name, found.group())
        for path in sorted(PACKAGE.rglob("*.py"))
        if not (name := path.relative_to(PACKAGE).as_posix()).startswith((ONE_PLACE, *OF_LINUX))
        for pattern in patterns
        for found in pattern.finditer(path.read_text(encoding="utf-8"))
    ]


def test_what_not_every_system_has_is_asked_in_one_place():
    assert not elsewhere(MODULES, LACKING)


def test_texts_are_read_in_utf_8_and_written_with_the_ends_of_lines_that_their_digests_hold():
    """Windows has another encoding by default until Python 3.15, and other ends of lines."""
    # What `importlib.metadata` reads of a distribution is UTF-8 everywhere.
    assert not [item for item in elsewhere(TEXTS) if item[0] not in {"targets/transports/prefix.py", "installed.py"}]
