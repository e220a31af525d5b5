"""A process that gives one damaged input after the other to edgefair and says what came of each.

    python -m tests.fuzz.fuzz_worker BASE FOLDER SEED < inputs

A line "SURFACE NUMBER" on stdin is one input. A line on stdout before each input and one after it; whoever started this
process ends it where the second is late.
"""

import json
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

reports = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

from edgefair.targets import open_target, timing  # noqa: E402
from tests.fuzz import fuzz_surfaces  # noqa: E402
from tests.fuzz.fuzz_case import FAIR, RECORD, command  # noqa: E402
from tests.fuzz.fuzz_copy import Copy  # noqa: E402
from tests.fuzz.fuzz_device import damage_with, replace_local  # noqa: E402
from tests.fuzz.fuzz_guard import allow_only  # noqa: E402

LONGEST_S, MOST_MIB = 5.0, 1024
# A device that is silent is given up after so long; a real one is given minutes.
open_target.__kwdefaults__["timeout_s"] = 1.0
# How long a device may be silent while it measures energy: there is no meter here.
timing.BLOCK_S = timing.SETTLING_S = 0.0
STATUS = Path("/proc/self/status")


def tell(**facts):
    reports.write(json.dumps(facts) + "\n")


def forget_peak():
    """Largest memory is measured from now on."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_mib():
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) // 1024


def begin(copy: Copy, folder: Path) -> None:
    """The base project, for one input to damage."""
    os.chdir("/")
    copy.renew()
    os.chdir(folder)
    damage_with(lambda _number, answer: answer)


def give(surface, number, seed, base, folder, copy):
    """What came of one input."""
    begin(copy, folder)
    case = fuzz_surfaces.SURFACES_BY_NAME[surface](random.Random(f"{seed}/{surface}/{number}"), base, folder)
    forget_peak()
    tell(begins=case.what)
    code, wrong, started = 4, None, time.perf_counter()
    try:
        code, output = case.run()
        if code not in case.allowed:
            wrong = f"exit code {code}: {output[-600:]}"
        elif "internal error" in output or "Traceback" in output:
            wrong = output[-600:]
        elif code == 0 and case.honest is not None and not case.honest():
            wrong = "a damaged input passed"
    except BaseException:
        wrong = traceback.format_exc()[-1500:]
    seconds, mib = time.perf_counter() - started, peak_mib()
    if wrong is None and mib > MOST_MIB:
        wrong = f"took {mib} MiB"
    return {"code": code, "seconds": seconds, "mib": mib, "wrong": wrong, "what": case.what}


def main():
    base, folder, seed = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    tempfile.tempdir = str(folder.parent)
    allow_only(base, folder.parent)
    if (base / "raw.npz").exists():
        replace_local()
    else:
        fuzz_surfaces.finish_project(base)
    copy = Copy(base, folder)
    begin(copy, folder)
    for usual in (RECORD, FAIR):
        command(*usual).run()  # imports what is imported late, before the clock runs
    tell(ready=True)
    for line in sys.stdin:
        surface, number = line.split()
        found = give(surface, int(number), seed, base, folder, copy)
        if found["wrong"] is None and found["seconds"] > LONGEST_S:
            # Something else may have run on this machine.
            found = give(surface, int(number), seed, base, folder, copy)
            if found["seconds"] > LONGEST_S:
                found["wrong"] = f"took {found['seconds']:.1f} s, twice"
        if found["wrong"] is not None:
            kept = Path(f"{folder}-kept")
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(folder, kept, symlinks=True, ignore=lambda _folder, _names: ["pipe"])
        tell(surface=surface, number=int(number), **found)


main()
