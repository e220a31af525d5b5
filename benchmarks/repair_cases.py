"""What the repair keeps of the speed where a recipe fails its fairness gate, beside NNCF's accuracy control.

Cases, each of which the gate (the equalized-odds gap may grow by 0.05) blocks without repair:

- MobileNetV2 with per-tensor INT8 weights. Two channels before every depthwise layer are 100 times smaller and their
  weights behind 100 times larger, which leaves the function as it is: networks that are trained for long have such
  channels (Nagel et al., ICCV 2019), one of a few minutes has not. Once with every move, once with float layers only;
- ResNet-18 of half its width with 4-bit per-tensor weights, with float layers only. Two channels inside every block are
  half as large (a quarter in the quick form), and their weights behind twice (four times): without that the gap grows
  by about as much as may be, and the audit rows cannot tell (INCONCLUSIVE, which blocks too);
- the same ResNet-18, as it was trained, pruned too far, with INT8.

The networks are trained on the synthetic glyphs of 64 pixels, whose minority is harder to see. `NNCF` is
quantize_with_accuracy_control on the FP32 file of the second case, with the same calibration and validation rows, its
metric the same gap, its largest drop what the repair asks of few rows (half of the threshold). All files are run by one
process of onnxruntime, one thread, batch 1, in turns. `kept` is the median of the recipe's file over that of the
repaired one: the share of the recipe's speed-up that is left. Verdicts come from 12,000 audit rows.

    python benchmarks/repair_cases.py [--quick] [--work FOLDER] [--only PART_OF_A_NAME] [--seconds S]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from machine import Claim, finish_claims, print_machine
from peers.judging import open_model, race
from peers.rows import Rows
from peers.tools import PEERS, SCRIPTS, UnavailableError
from torch import nn

import edgefair
from edgefair.bundle.manifest import open_bundle
from edgefair.compress.quantization.recipe import calibration_rows, open_recipe
from edgefair.config import Config, parse_config
from edgefair.data.dataset import load
from edgefair.data.groups import joint_groups
from edgefair.exporters.torch_module import export_classifier
from edgefair.measure.latency import speed_up, summarize
from edgefair.probe.bundles.gates import ABSOLUTE, PAIRED
from edgefair.probe.onnx_files.spec import SPEC_METADATA_KEY
from edgefair.probe.onnx_files.spec_check import spec_from_json
from edgefair.report.results.verification import Report
from edgefair.training.build import load_classifier
from edgefair.training.run import load_run

KNOBS = {"texture": 0.12, "stroke": 0.6, "noise": 0.1, "share": 0.4}
GROWTH, KEPT, NOISE, LEVEL = 0.05, 0.7, 1.03, 0.05
FP32, RECIPE, REPAIRED, NNCF = "FP32", "recipe", "repaired", "nncf"
OUTLIERS = 2
# How the names end of a layer's normalization, and of the 3x3 layer that it feeds.
FEEDS = {
    "expand_1x1.normalization": "conv_3x3.convolution",
    "layer.0.normalization": "layer.1.convolution",
}


@dataclass(frozen=True)
class Case:
    """A recipe that fails.

    Attributes:
        network: its name.
        options: of its factory.
        outliers: how much smaller single channels are; 1 for none.
        weights: keys of the calibration recipe.
        compress: keys of `compress:`.
        beside_nncf: whether NNCF gets the same file.
    """

    name: str
    network: str
    options: Mapping[str, Any]
    outliers: float
    weights: Mapping[str, Any]
    compress: Mapping[str, Any]
    beside_nncf: bool = False


FLOAT_ONLY = {"repair": {"moves": ["float"]}}
MOBILE = Case("per-tensor MobileNetV2", "mobilenet-v2", {"dropout": 0.0, "stem": "imagenet"}, 100.0, {}, {})
RESNET = Case("over-pruned ResNet-18", "resnet-18", {"width": 0.5, "stem": "imagenet"}, 1.0, {}, {})
COARSE = replace(
    RESNET, name="4-bit ResNet-18, float only", outliers=2.0, weights={"weight_bits": 4}, compress=FLOAT_ONLY
)
CASES = (
    MOBILE,
    replace(MOBILE, name="per-tensor MobileNetV2, float only", compress=FLOAT_ONLY, beside_nncf=True),
    COARSE,
    replace(RESNET, compress={"prune": 0.8, "scope": "global"}),
)


@dataclass(frozen=True)
class Size:
    """How much of everything: pixels, contrast of the minority, rows to train and validate with, audit rows, epochs."""

    side: int
    contrast: float
    rows: int
    audit_rows: int
    epochs: int


QUICK_CASE = replace(COARSE, name="4-bit ResNet-18", options={"width": 0.25}, outliers=4.0)
FULL, QUICK = Size(64, 0.3, 10_000, 12_000, 3), Size(24, 0.5, 4_000, 6_000, 3)


@dataclass(frozen=True)
class Line:
    """One file of a case: where it is, its verdict, evaluations of all validation rows, seconds, what was done."""

    path: Path
    report: Report
    evaluations: int | None = None
    seconds: float | None = None
    done: str = ""


def config_of(case: Case, size: Size, folder: Path, *, strict: bool = True, repair: bool = True) -> Config:
    """The project of a case; not strict, its gates let everything through."""
    recipe = folder / f"{case.name.replace(' ', '-').replace(',', '')}.yaml"
    keys = {"name": "study", "rows": 512, "balance": "group-label", "weights": "per-tensor", "method": "minmax"}
    recipe.write_text(json.dumps(keys | dict(case.weights)))
    moves = {**case.compress.get("repair", {}), "enabled": repair}
    learning = {"batch_rows": 64, "learning_rate": 3e-3}
    limits = {"max_eo_gap": 0.3, "max_eo_increase": GROWTH} if strict else {"max_eo_gap": 1.0}
    picture = {"height": size.side, "width": size.side}
    glyphs = {**KNOBS, "contrast": size.contrast, "rows": size.rows, "audit_rows": size.audit_rows, "size": size.side}
    return parse_config(
        {
            "data": {"source": "glyphs", "glyphs": glyphs, "validation": 0.4},
            "model": {"network": case.network, "options": dict(case.options), "picture": picture},
            "train": {**learning, "epochs": size.epochs},
            "finetune": {**learning, "epochs": 1, "learning_rate": 1e-3},
            "policy": {**limits, "attributes": {"group": {"groups": ["majority", "minority"]}}},
            "compress": {
                **case.compress,
                "int8": "static",
                "repair": moves,
                **({} if "prune" in case.compress else {"calibration": str(recipe)}),
            },
        },
        base=folder,
    )


def widen(network: nn.Module, factor: float) -> None:
    """Make OUTLIERS channels of every layer that feeds a 3x3 layer smaller, and their weights there larger."""
    generator = torch.Generator().manual_seed(0)
    modules = dict(network.named_modules())
    pairs = [
        (modules[name], modules[name.removesuffix(end) + behind])
        for name in modules
        for end, behind in FEEDS.items()
        if name.endswith(end)
    ]
    with torch.no_grad():
        for norm, layer in pairs:
            chosen = torch.randperm(len(norm.weight), generator=generator)[:OUTLIERS]
            norm.weight[chosen] /= factor
            norm.bias[chosen] /= factor
            fed = layer.weight if layer.groups > 1 else layer.weight.transpose(0, 1)
            fed[chosen] *= factor


def dense_of(case: Case, size: Size, folder: Path) -> Path:
    """The FP32 file of a case, trained where that is not done."""
    config = config_of(case, size, folder)
    if not (config.run_path("run") / "run.json").exists():
        edgefair.train(config, name="run", overwrite=True)
    run = load_run(config.run_path("run"))
    classifier = load_classifier(run).eval()
    if case.outliers != 1:
        widen(classifier.network, case.outliers)
    path = folder / f"fp32-{case.outliers:g}.onnx"
    export_classifier(classifier, run.spec, run.array_shapes, path)
    return path


def lines_of(case: Case, size: Size, folder: Path) -> dict[str, Line]:
    """The recipe's file and the repaired one, judged on the audit rows."""
    dense = dense_of(case, size, folder)
    from_file = {} if "prune" in case.compress else {"model": str(dense)}
    strict, out = config_of(case, size, folder), folder / "dist" / case.name.replace(" ", "-")
    asked, mended = out / RECIPE, out / REPAIRED
    edgefair.export(config_of(case, size, folder, strict=False, repair=False), output=asked, latency=False, **from_file)
    judged = edgefair.verify(strict, asked, latency=False)
    started = time.perf_counter()
    report = edgefair.export(strict, output=mended, latency=False, **from_file)
    spent = time.perf_counter() - started
    found = {RECIPE: Line(open_bundle(asked).model, judged)}
    searched = report.settings["repair"]
    if report.exit_code == 0:
        done = said(searched["chosen"]["choice"])
        found[REPAIRED] = Line(open_bundle(mended).model, report, len(searched["trials"]) + 1, spent, done)
    else:
        print(f"{case.name}: not repaired, {searched['ended']}", flush=True)
    return found


def said(choice: Mapping[str, Any]) -> str:
    """What the repair chose."""
    parts = [
        f"pruned by {choice['prune']:g}" if choice["prune"] else "",
        choice["calibration"] if choice["calibration"].startswith("int8-") else "",
        "bias" if choice["correct_bias"] else "",
        f"in float: {len(choice['float_nodes'])}" if choice["float_nodes"] else "",
    ]
    return ", ".join(part for part in parts if part)


def save_rows(config: Config, dense: Path, folder: Path) -> tuple[Path, Path]:
    """The calibration rows and the validation rows with label and group, as graph inputs."""
    data = load(config.data, base=config.base, roles=("train", "validation"))
    spec = spec_from_json(read_spec(dense))
    recipe = open_recipe(config.compress.calibration, base=config.base)
    group, groups = joint_groups(data.train.sensitive, config.policy.base_attributes)
    chosen = calibration_rows(recipe, group=group, label=data.train.label, groups=len(groups), seed=config.seed)
    found = {"calibration": data.train.take(chosen), "validation": data.validation}
    paths = []
    for name, rows in found.items():
        batches = list(rows.inputs(spec, 256))
        inputs = {key: np.concatenate([batch[key] for batch in batches]) for key in batches[0]}
        paths.append(folder / f"{name}.npz")
        Rows(inputs, rows.label.astype(np.int64), rows.sensitive["group"].codes.astype(np.int64)).save(paths[-1])
    return paths[0], paths[1]


def read_spec(path: Path) -> str:
    """What edgefair wrote into a model file of its own."""
    return next(item.value for item in onnx.load_model(path).metadata_props if item.key == SPEC_METADATA_KEY)


def nncf_line(case: Case, size: Size, folder: Path) -> Line:
    """What NNCF's accuracy control makes of the FP32 file.

    Raises:
        UnavailableError: it does not install, or fails.
    """
    peer = next(peer for peer in PEERS if peer.name == NNCF)
    python = peer.python(folder.parent)
    config, dense, to = config_of(case, size, folder), dense_of(case, size, folder), folder / "nncf.onnx"
    rows = save_rows(config, dense, folder)
    command = [python, SCRIPTS / "control_with_nncf.py", dense, *rows, to, str(config.train.aim * GROWTH)]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise UnavailableError(done.stderr.strip().splitlines()[-1])
    spent = json.loads(done.stdout.strip().splitlines()[-1])
    model = onnx.load_model(to)
    onnx.helper.set_model_props(model, {SPEC_METADATA_KEY: read_spec(dense)})
    onnx.save_model(model, to)
    report = edgefair.verify(config, to, reference=dense, latency=False)
    return Line(to, report, spent["evaluations"], spent["seconds"])


def printed(case: Case, lines: Mapping[str, Line], dense: Path, rows: Rows, seconds: float) -> dict[str, float]:
    """Time the files of a case beside each other and print its rows; median of the recipe's over that of each."""
    models = {FP32: open_model(dense), **{name: open_model(line.path) for name, line in lines.items()}}
    times = {name: found.warm for name, found in race(models, rows, seconds=seconds, most_seconds=3 * seconds).items()}
    kept = {name: speed_up(times[RECIPE], times[name], level=LEVEL).ratio for name in lines}
    for name, line in lines.items():
        gates = {gate.id: gate for gate in line.report.targets[0].verdict.gates}
        gap, growth = gates[ABSOLUTE], gates[PAIRED]
        faster = speed_up(times[FP32], times[name], level=LEVEL)
        print(
            f"| {case.name} | {name} | {line.report.outcome} | {gap.estimate:.3f} | {growth.estimate:.3f} "
            f"({growth.lower:.3f} to {growth.upper:.3f}) | {summarize(times[name], level=LEVEL).p50_ms:.3f} | "
            f"{faster.ratio:.2f} ({faster.lower:.2f} to {faster.upper:.2f}) | {kept[name]:.2f} | "
            f"{'' if line.evaluations is None else line.evaluations} | "
            f"{'' if line.seconds is None else round(line.seconds)} | {line.done} |",
            flush=True,
        )
    return kept


def claims(lines: Mapping[str, Mapping[str, Line]], kept: Mapping[str, Mapping[str, float]]) -> list[Claim]:
    """Everything that is claimed; the least share of the speed-up that a repair keeps is the last."""
    found = []
    for name, made in lines.items():
        blocked = made[RECIPE].report.exit_code != 0
        found.append(Claim(f"blocked without repair: {name}", float(blocked), 1.0))
        found.append(Claim(f"shipped with repair: {name}", float(REPAIRED in made), 1.0))
        if REPAIRED in made and NNCF in made:
            ours, theirs = made[REPAIRED].evaluations or 0, made[NNCF].evaluations or 0
            found.append(Claim("evaluations of NNCF over ours", theirs / ours, 1.0 + 1e-9))
            found.append(Claim("latency of NNCF over ours", kept[name][REPAIRED] / kept[name][NNCF], 1 / NOISE))
    return [*found, Claim("repair_cases", min(item.get(REPAIRED, 0.0) for item in kept.values()), KEPT)]


def run(cases: Sequence[Case], size: Size, work: Path, seconds: float) -> list[Claim]:
    """Make, judge and time the files of every case."""
    lines: dict[str, dict[str, Line]] = {}
    for case in cases:
        folder = work / case.network
        folder.mkdir(parents=True, exist_ok=True)
        lines[case.name] = lines_of(case, size, folder)
        if case.beside_nncf:
            try:
                lines[case.name][NNCF] = nncf_line(case, size, folder)
            except UnavailableError as error:
                print(f"NNCF: {error}", flush=True)
    print(
        "| case | file | verdict | gap | growth (limits) | p50 ms | times FP32 (95 %) | kept | evaluations | s | done |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    kept = {}
    for case in cases:
        dense = dense_of(case, size, work / case.network)
        pixels = np.random.default_rng(0).integers(0, 256, (64, size.side, size.side, 3), dtype=np.uint8)
        rows = Rows({"picture": pixels}, np.zeros(64, dtype=np.int64), np.zeros(64, dtype=np.int64))
        kept[case.name] = printed(case, lines[case.name], dense, rows, seconds)
    return claims(lines, kept)


def main() -> None:
    """Print the table and the claims; the last line is `repair_cases`, or the first claim that does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one small case, without NNCF")
    parser.add_argument("--work", type=Path, default=Path("build/repair_cases"), help="what is kept between runs")
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--seconds", type=float, default=10.0, help="of timing for each case")
    options = parser.parse_args()
    print_machine("onnxruntime", "onnx", "torch")
    if options.quick:
        with tempfile.TemporaryDirectory() as folder:
            found = run([QUICK_CASE], QUICK, Path(folder), 2.0)
    else:
        chosen = [case for case in CASES if options.only in case.name]
        found = run(chosen, FULL, options.work.resolve(), options.seconds)
    finish_claims(found)


if __name__ == "__main__":
    main()
