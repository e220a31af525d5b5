"""Record what the product makes, and say what a change of the code has moved.

    python tools/pins.py record FILE [--part PART ...]
    python tools/pins.py check FILE [--part PART ...] [--near]

Parts: `help` (what `--help` of every command prints), `verdicts` (the JSON of `decide` of fixed counts), `reports` (the
JSON of `verify` of fixed models), `models` (SHA-256 of the ONNX files that fixed recipes make; minutes). Default: all.

Everything is driven from outside, by the command line and the names of `edgefair.__all__`, so that modules may move.
`help` depends on click's version, `reports` and `verdicts` in the last digits on scipy and the processor. `models`
holds for one kind of processor and one version of every package; the file names them.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import math
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pin_commands import help_texts
from pin_models import model_digests
from pin_verdicts import reports, verdicts

PARTS: Mapping[str, Callable[[Path], dict[str, Any]]] = {
    "help": lambda _: help_texts(),
    "verdicts": lambda _: verdicts(),
    "reports": reports,
    "models": model_digests,
}
PACKAGES = ("click", "numpy", "onnx", "onnxruntime", "scipy", "torch", "transformers")
# Of numbers, where a processor or library may round otherwise.
NEAR: Mapping[str, float] = {"rel_tol": 1e-9, "abs_tol": 1e-12}
# Changes that are printed, and letters of each side.
SHOWN, WIDTH = 60, 200


def main() -> None:
    """Record or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["record", "check"])
    parser.add_argument("file", type=Path)
    parser.add_argument("--part", action="append", choices=list(PARTS), help="only this one; may be repeated")
    parser.add_argument("--near", action="store_true", help="let numbers differ in their last digits")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    if options.action == "record":
        options.file.write_text(json.dumps(record(options.part or list(PARTS)), indent=1, ensure_ascii=False) + "\n")
        return
    before = json.loads(options.file.read_text())
    parts = options.part or [part for part in PARTS if part in before]
    now = record(parts)
    if before.get("made_on") != now.get("made_on") and "models" in parts:
        print(f"recorded on {before.get('made_on')},\nchecked on {now['made_on']}: the models may differ by that alone")
    near = NEAR if options.near else {"rel_tol": 0.0}
    changes = [line for part in parts for line in differences(part, before.get(part), now[part], near)]
    print(*changes[:SHOWN], sep="\n")
    if changes:
        sys.exit(f"{len(changes)} pins changed" + (f", {SHOWN} of them shown" if len(changes) > SHOWN else ""))
    print(f"as recorded: {', '.join(parts)}")


def record(parts: list[str]) -> dict[str, Any]:
    """The pins of some parts, and what digests of models were made on."""
    with tempfile.TemporaryDirectory(prefix="pins-") as folder:
        made = {part: PARTS[part](Path(folder)) for part in parts}
    return {"made_on": made_on(), **made} if "models" in made else made


def made_on() -> dict[str, str]:
    """What digests of models hold for."""
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    cpu = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
    return {"cpu": cpu, "python": platform.python_version(), **versions}


def differences(place: str, before: Any, now: Any, near: Mapping[str, float]) -> Iterator[str]:
    """A line for every value of two JSON documents that is not the same.

    Args:
        near: arguments of `math.isclose`, by which numbers are compared.
    """
    if isinstance(before, dict) and isinstance(now, dict):
        for key in dict.fromkeys([*before, *now]):
            if key not in now:
                yield f"{place} / {key}: gone"
            elif key not in before:
                yield f"{place} / {key}: new"
            else:
                yield from differences(f"{place} / {key}", before[key], now[key], near)
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for index, (one, other) in enumerate(zip(before, now, strict=True)):
            yield from differences(f"{place} / {index}", one, other, near)
    elif isinstance(before, list) and isinstance(now, list):
        yield f"{place}: {len(before)} items -> {len(now)}"
    elif not same(before, now, near):
        yield f"{place}: {json.dumps(before)[:WIDTH]} -> {json.dumps(now)[:WIDTH]}"


def same(before: Any, now: Any, near: Mapping[str, float]) -> bool:
    """Whether two values that hold no others are the same, in type as well."""
    if isinstance(before, float) and isinstance(now, float):
        return math.isclose(before, now, **near)
    return type(before) is type(now) and bool(before == now)


if __name__ == "__main__":
    main()
