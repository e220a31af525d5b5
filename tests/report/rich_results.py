"""A verification with all that a page can show, and a result of every other kind as large as in a small project."""

import io
from dataclasses import replace

import numpy as np
from PIL import Image

from edgefair.data.files.table import Categories
from edgefair.decision.policy import Policy
from edgefair.measure.disagreement import Origin, disagreements
from edgefair.measure.flips import cell_flips
from edgefair.measure.latency import speed_up, summarize
from edgefair.measure.paired import PairedCounts
from edgefair.report.changed_rows import ChangedCell, ChangedRow, ChangedRows
from edgefair.report.results.comparison import compare_paired
from edgefair.report.results.explanation import Cell, Explanation, Layer, Moved
from edgefair.report.results.verification import ModelFile
from tests.report.golden_results import UNFAIR, report_of

RNG = np.random.default_rng(0)
SEX = RNG.choice(["Female", "Male"], 4000)
LABEL, BEFORE = RNG.integers(0, 2, (2, 4000))
AFTER = np.where(RNG.random(4000) < np.where(SEX == "Female", 0.05, 0.01), 1 - BEFORE, BEFORE)
PAIRED = PairedCounts.from_rows({"sex": SEX}, label=LABEL, reference=BEFORE, candidate=AFTER, classes=("no", "yes"))
CHOICES = [
    {"prune": 0.5, "calibration": "int8-balanced"},
    {"prune": 0.5, "calibration": "int8-entropy", "seven_bit": ("/conv1/Conv",)},
    {"prune": 0.5, "calibration": "int8-balanced", "float_nodes": ("/conv1/Conv", "/head/Gemm")},
    {"prune": 0.25, "calibration": "int8-balanced", "correct_bias": True, "post": ("last-layer",)},
]


def trial(choice, gap, size, *, kept, **more):
    return {
        "choice": choice, "kept": kept, "harmless": kept, "shortfall": 0.0 if kept else 1.5, "cost": 10.0, "gates": {},
        "gap": gap, "p90_ms": None, "size_bytes": size, **more,
    }  # fmt: skip


TRIALS = [
    trial(CHOICES[0], 0.19, 290_000, kept=False),
    trial(CHOICES[1], 0.12, 290_500, kept=False),
    trial(CHOICES[2], 0.041, 410_000, kept=True),
    trial(CHOICES[3], 0.045, 520_000, kept=True),
]
REPAIR = {"chosen": TRIALS[2], "ended": "every gate is kept", "trials": TRIALS, "log": "runs/repair/log.jsonl"}


def rich():
    """A FAIL with a reference, changed decisions, distributions of latency, and a repair."""
    report = report_of(UNFAIR, max_latency_p90_ms=2, notes=["a note"])
    reference, candidate = (RNG.lognormal(np.log(mean), 0.15, 4096).astype(np.int64) for mean in (3.1e6, 1.2e6))
    target = replace(
        report.targets[0],
        flips=cell_flips(PAIRED),
        latency=summarize(candidate, level=0.05),
        reference_latency=replace(summarize(reference, level=0.05), ladder=None),
        speed_up=speed_up(reference, candidate, level=0.05),
    )
    (pair,) = disagreements({"local": BEFORE, "pi-4": AFTER}, {"sex": Categories.of(SEX)})
    return replace(
        report,
        reference=ModelFile("dist/people/reference.onnx", "ef" * 32, 9000),
        targets=(target,),
        disagreements=(replace(pair, begins_in=Origin("/stem/Conv", "Conv", "stem.weight", 0.25)),),
        settings={"repair": REPAIR},
    )


def compared():
    """A comparison of models that decide 4,000 rows."""
    policy = Policy.model_validate({"attributes": {"sex": {"groups": ["Female", "Male"]}}, "max_eo_increase": 0.02})
    return compare_paired(PAIRED, policy, before="fp32.onnx", after="int8.onnx")


def explained(layers=12):
    """An explanation of a network of so many layers."""

    def moved():
        values = [tuple(RNG.normal(0, 0.02, 4).tolist()) for _ in range(4)]
        return Moved(float(RNG.normal(0, 0.02)), float(RNG.normal(0, 0.02)), *values)

    cells = tuple(Cell(group, label, 64, 64) for group in ("Female", "Male") for label in ("no", "yes"))
    made = [
        Layer(f"/features/block{index}/Conv", "Conv", f"features.block{index}.weight", moved(), moved(), moved(),
              tuple(RNG.uniform(0, 0.02, 4).tolist()), (0.01,) * 4, tuple(RNG.uniform(0, 0.01, 4).tolist()), None)
        for index in range(layers)
    ]  # fmt: skip
    compared = "sex: Female against Male, decided yes where yes is right"
    return Explanation(
        "dist/people",
        "static",
        "static INT8",
        "INT8",
        "7-bit or unsigned weights in these layers",
        "local",
        "people.csv",
        64,
        0.5,
        ("sex",),
        compared,
        0.07,
        cells,
        tuple(made),
        ("a note",),
    )


def pictured(kind):
    """Rows whose decision changed: `pictures`, `texts` or `features`."""
    stream = io.BytesIO()
    Image.fromarray(RNG.integers(0, 256, (128, 128, 3), np.uint8)).save(stream, "JPEG", quality=80)
    picture = stream.getvalue() if kind == "pictures" else None
    text = "Worked in a shop for nine years, and then " * 6 if kind == "texts" else None
    values = {f"feature {index}": f"{index}.5" for index in range(14)} if kind == "features" else {}
    rows = tuple(
        ChangedRow(
            f"row {index}", "broken" if index < 4 else "corrected", "yes", "no", 0.61, 0.38, picture, text, values
        )
        for index in range(6)
    )
    counts = {"broken": 9, "corrected": 2, "wrong still": 0}
    cells = tuple(ChangedCell(group, "yes", counts, rows) for group in ("Female", "Male"))
    return ChangedRows("audit rows", {"local": cells}, {"local": 3})
