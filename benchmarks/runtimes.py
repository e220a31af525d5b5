"""One model on every runtime that is here: whom each decides otherwise, and its verdict; and Qualcomm's Cast.

A small ResNet-18 learns the synthetic glyphs and is exported in INT8. One `edgefair verify` judges that one file on
all targets of TARGETS that lack nothing here; the others are named with what they lack. Flips are rows that a target
decides otherwise than `local`, onnxruntime's CPU provider; p is that of Fisher's exact test that the minority has more
of them, after Holm over all groups and pairs of targets.

Formats other than ONNX are files of their own: the run as an ExecuTorch program, and as a LiteRT program in FP32 and in
INT8, is judged beside its FP32 file, where the runtime and its converter are here (docs/runtimes.md says how).

On Qualcomm's simulator the same file is then asked with the Cast(uint8 -> float) that pictures began with in other
versions: `verify` must refuse it before it is measured, and the decisions of a bare session, judged as brought ones,
must not ship. The control is the file as it is exported, which must PASS.

    python benchmarks/runtimes.py [--quick] [--rows N] [--without TARGET ...]
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from collections.abc import Collection
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from machine import finish, print_machine
from onnx import TensorProto

import edgefair
from edgefair.bundle.manifest import open_bundle
from edgefair.config import Config, parse_config
from edgefair.decision.verdict import Outcome
from edgefair.errors import ModelError, UsageError
from edgefair.graphs.byte_casts import byte_casts
from edgefair.measure.counts import GroupCounts
from edgefair.report.judged import judged
from edgefair.report.results.verification import Report
from edgefair.report.terminal.timing import device_line
from edgefair.targets import load_profile
from edgefair.workflow.compression.programs import write_program
from edgefair.workflow.measurement.brought.inputs import export_inputs
from edgefair.workflow.measurement.brought.verify import verify_decisions
from edgefair.workflow.targets import known_targets

FIRST, SIMULATOR = "local", "qnn-simulator"
# Targets with files of their own: their suffix, and whether each is in 8 bits.
PROGRAMS = {"executorch": (".pte", (False,)), "litert": (".tflite", (False, True))}
SLOW = ("web:webgpu-software", "qemu:haswell", *PROGRAMS)
TARGETS = (
    FIRST,
    "qemu:haswell",
    "qemu:cortex-a76",
    "openvino",
    "openvino-ep",
    "web:wasm",
    "web:webgpu-software",
    SIMULATOR,
)
MAJORITY, MINORITY = "majority", "minority"
# For which the wrong Cast is shown: as few as the policy judges at all.
CASE_ROWS = 240


def config_of(folder: Path, rows: int, targets: list[str], *, quick: bool) -> Config:
    """The project: 16 pixels, an eighth of ResNet-18's width (half of that if quick), a minority harder to see."""
    glyphs = {"rows": 3000 if quick else 8000, "audit_rows": rows, "size": 16, "contrast": 0.6, "texture": 0.1}
    return parse_config(
        {
            "project": "runtimes",
            "seed": 0,
            "data": {"source": "glyphs", "glyphs": {**glyphs, "share": 0.4}},
            "model": {
                "network": "resnet-18",
                "options": {"width": 0.0625 if quick else 0.125},
                "picture": {"height": 16, "width": 16},
            },
            "train": {"epochs": 2 if quick else 4, "batch_rows": 64, "learning_rate": 3e-3},
            "targets": targets,
            "policy": {
                "max_eo_gap": 0.4 if quick else 0.3,
                "attributes": {"group": {"groups": [MAJORITY, MINORITY]}},
            },
        },
        base=folder,
    )


def at_hand(names: tuple[str, ...]) -> list[str]:
    """Those of the targets that lack nothing; what the others lack is printed."""
    found = []
    # Without a name all would be meant.
    for known in known_targets(names).targets if names else ():
        if known.lacks is None:
            found.append(known.profile.name)
        else:
            print(f"left out: {known.profile.name}: {known.lacks}")
    return found


def print_table(report: Report) -> None:
    """A line for every target: its verdict, and the rows that it decides otherwise than the first."""
    pairs = {pair.second: pair for pair in report.disagreements if pair.first == FIRST}
    for item in report.targets:
        print(f"`{item.target}`: {device_line(item.device)}")
    print("| target | accuracy | gap (limits) | verdict | flips (majority / minority) | p of the minority |")
    print("|---|---|---|---|---|---|")
    for item in report.targets:
        gate, pair = item.verdict.gates[0], pairs.get(item.target)
        counts = GroupCounts.from_json(item.counts)
        classes = np.arange(len(counts.classes))
        accuracy = float(counts.table[..., classes, classes].sum() / counts.table.sum())
        flips, p = "-", "-"
        if pair is not None:
            of = {group.group: group for group in pair.groups}
            flips = f"{pair.differing} ({of[MAJORITY].differing} / {of[MINORITY].differing})"
            p = f"{of[MINORITY].p_holm:.2g}" if pair.differing else "-"
        print(
            f"| `{item.target}` | {accuracy:.3f} | {gate.estimate:.3f} "
            f"({gate.lower:.3f} to {gate.upper:.3f}) | {item.verdict.outcome} | {flips} | {p} |"
        )
    for pair in report.disagreements:
        if pair.first != FIRST and pair.differing:
            print(f"{pair.first} and {pair.second}: {pair.differing} of {pair.rows:,} rows")


def judge_programs(config: Config, folder: Path, reference: Path) -> None:
    """The trained run as programs of the config's target, beside its FP32 file on onnxruntime."""
    suffix, precisions = PROGRAMS[config.targets[0]]
    for int8 in precisions:
        program = folder / f"{'int8' if int8 else 'fp32'}{suffix}"
        try:
            write_program(config, "run", program, int8=int8)
        except UsageError as error:
            print(f"left out: {program.name}: {error.found}")
            return
        report = edgefair.verify(config, program, reference=reference, latency=False)
        (item,) = report.targets
        gate, of = item.verdict.gates[0], dict.fromkeys((MAJORITY, MINORITY), 0)
        for cell in item.flips:
            of[cell.group[0]] += cell.flipped
        print(f"`{item.target}` ({device_line(item.device)}), {program.name}, {program.stat().st_size:,} bytes:")
        print(
            f"  {item.verdict.outcome}, gap {gate.estimate:.3f} ({gate.lower:.3f} to {gate.upper:.3f}); flips against"
        )
        print(f"  onnxruntime on the FP32 file: {of[MAJORITY]} of the majority, {of[MINORITY]} of the minority")


# Qualcomm's Cast ----------------------------------------------------------------------------------------------------


def with_a_direct_cast(path: Path, to: Path) -> Path:
    """The file as versions before wrote it: bytes become floats at once, not by way of int32."""
    model = onnx.load_model(path)
    wide = {
        node.output[0]: node.input[0]
        for node in model.graph.node
        if node.op_type == "Cast" and any(item.name == "to" and item.i == TensorProto.INT32 for item in node.attribute)
    }
    kept = [node for node in model.graph.node if node.output[0] not in wide]
    for node in kept:
        if node.op_type == "Cast" and node.input[0] in wide:
            node.input[0] = wide[node.input[0]]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    assert len(byte_casts(model)) == 1
    onnx.save_model(model, to)
    return to


def bare_decisions(path: Path, inputs: dict[str, np.ndarray]) -> list[int]:
    """What a session on the simulator decides, row by row, and nothing of edgefair around it but the options."""
    import onnxruntime_qnn

    settings = load_profile(SIMULATOR).providers[0]
    if settings.name not in {device.ep_name for device in onnxruntime.get_ep_devices()}:
        onnxruntime.register_execution_provider_library(settings.name, onnxruntime_qnn.get_library_path())
    devices = [device for device in onnxruntime.get_ep_devices() if device.ep_name == settings.name]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.add_provider_for_devices(devices[:1], dict(settings.options))
    model = onnx.load_model(path)
    for item in (*model.graph.input, *model.graph.output):
        item.type.tensor_type.shape.dim[0].dim_value = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    rows = len(next(iter(inputs.values())))
    asked = ({name: array[row : row + 1] for name, array in inputs.items()} for row in range(rows))
    return [int(session.run(["decision"], row)[0][0]) for row in asked]


def judged_bare(config: Config, path: Path, folder: Path) -> tuple[Report, list[int]]:
    """The verdict on a bare session's decisions, brought in a file; and these."""
    written = export_inputs(config, folder / "inputs.npz", path)
    names = [item.name for item in onnx.load_model(path).graph.input]
    with np.load(written.path) as held:
        ids, inputs = held[written.id_column].tolist(), {name: held[name] for name in names}
    found = bare_decisions(path, inputs)
    with (folder / "decisions.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([[written.id_column, "decision"], *zip(ids, found, strict=True)])
    return verify_decisions(config, folder / "decisions.csv", model=path, latency=False), found


def qnn_case(config: Config, path: Path, folder: Path, safe: Outcome) -> bool:
    """Whether the direct Cast is kept from shipping twice over, and the exported file passes."""
    older = with_a_direct_cast(path, folder / "older.onnx")
    refused = ""
    try:
        edgefair.verify(config, older, latency=False)
    except ModelError as error:
        refused = error.found
    report, found = judged_bare(config, older, folder)
    counts = np.bincount(found, minlength=2).tolist()
    print(f"{SIMULATOR}, the direct Cast: {refused or 'NOT REFUSED'}")
    print(f"  a bare session decides {counts[0]} and {counts[1]} rows of the two classes, which is {report.outcome}:")
    print(f"  {', '.join(f'{gate.title} {gate.status}' for gate in judged(report.targets[0]))}")
    print(f"{SIMULATOR}, as exported: {safe}")
    return bool(refused) and len(set(found)) == 1 and report.exit_code != 0 and safe is Outcome.PASS


def run(folder: Path, rows: int, without: Collection[str], *, quick: bool) -> bool:
    """Print everything; whether Qualcomm's case ended as it must, or could not be tried."""
    targets = at_hand(tuple(name for name in TARGETS if name not in without))
    config = config_of(folder, rows, targets, quick=quick)
    edgefair.train(config, name="run", overwrite=True)
    exported = edgefair.export(config_of(folder, rows, [FIRST], quick=quick), run="run", int8="static", latency=False)
    if exported.exit_code:
        print(
            f"the export is {exported.outcome}: {'; '.join(gate.reason for gate in exported.targets[0].verdict.gates)}"
        )
        return False
    bundle = open_bundle(config.bundle_path)
    started = time.perf_counter()
    report = edgefair.verify(config, bundle.model, latency=False)
    print(f"{rows:,} audit rows, {bundle.model.stat().st_size:,} bytes INT8, {time.perf_counter() - started:.0f} s:")
    print_table(report)
    for name in at_hand(tuple(name for name in PROGRAMS if name not in without)):
        made = config_of(folder, rows, [name], quick=quick)
        judge_programs(made, folder, bundle.path / bundle.manifest.reference)
    if SIMULATOR not in targets:
        return True
    safe = next(item.verdict.outcome for item in report.targets if item.target == SIMULATOR)
    return qnn_case(config_of(folder, CASE_ROWS, [SIMULATOR], quick=quick), bundle.model, folder, safe)


def main() -> None:
    """Print the tables; the last line says whether the direct Cast was blocked and the safe one passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rows, a smaller network, and nothing slow")
    parser.add_argument("--rows", type=int, help="audit rows, a multiple of 4")
    parser.add_argument("--without", action="append", default=[], metavar="TARGET", help="leave it out")
    options = parser.parse_args()
    print_machine("onnxruntime", "torch", "numpy")
    with tempfile.TemporaryDirectory() as name:
        rows = options.rows or (CASE_ROWS if options.quick else 1000)
        without = {*options.without, *(SLOW if options.quick else ())}
        right = run(Path(name), rows, without, quick=options.quick)
    finish("runtimes_direct_cast_blocked_and_safe_export_passes", float(right), 1.0, at_most=False)


if __name__ == "__main__":
    main()
