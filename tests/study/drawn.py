"""Tables of studies whose truth is known: drawn, not trained. A treatment before the training that a fine-tune undoes,
a pruning that collapses, noise that costs, INT8 that does nothing; or nothing at all."""

import json

import numpy as np

from edgefair.measure.counts import GroupCounts
from edgefair.measure.paired import PairedCounts
from edgefair.study.reading import plan_digest, read_plan
from edgefair.study.responses import decided, flip_rate, flips_json
from edgefair.study.table import Row

PLAN = """
study: drawn
factors:
  noise: [0, 0.1, 0.2]
  extent: [none, finetune-only, int8, prune 0.5, prune 0.8, prune 0.95]
  treatment: [none, label-balance, before, during]
seeds: 8
"""
GROUPS, CLASSES, ROWS = (("Female",), ("Male",)), ("no", "yes"), 1000
# Gap that a treatment leaves, and the worst group's TPR without noise; a training has its own spread of each.
LEFT = {"none": 0.24, "label-balance": 0.2, "before": 0.04, "during": 0.05, "before + during": 0.03}
BYTES = {"none": 40_000, "finetune-only": 40_000, "int8": 11_000, "prune 0.5": 21_000, "prune 0.8": 9_000,
         "prune 0.95": 3_000, "prune 0.8 + int8": 2_500}  # fmt: skip


def plan_of(text=PLAN, **changes):
    """The plan, with other lines of its own."""
    for key, value in changes.items():
        lines = [f"{key}: {value}" if line.startswith(f"{key}:") else line for line in text.strip().split("\n")]
        text = "\n".join(lines)
    return read_plan(text)


def table_of(plan, *, failed=(), spread=0.008):
    """Rows of all cells.

    Args:
        failed: positions of cells that failed.
        spread: of what a training adds to the gap by chance, beside what all cells of a seed share.
    """
    digest = plan_digest(plan)
    return tuple(
        Row(study=plan.study, plan=digest, cell=cell.key, condition=cell.condition, seed=cell.seed, status="failed",
            error="the fine-tune diverged: loss is nan") if at in failed else _row(plan, digest, cell, spread)
        for at, cell in enumerate(plan.cells)
    )  # fmt: skip


def _row(plan, digest, cell, spread):
    treatment, extent = str(cell.treatment), str(cell.extent)
    tuned, noise = cell.extent.training == "finetune", cell.noise.amount or 0.0
    shared = np.random.default_rng([cell.seed, 1]).normal(0, 0.02)
    # A network's own chance: what shares its training shares it.
    own = np.random.default_rng([cell.seed, *(ord(letter) for letter in str(cell.network))]).normal(0, spread, 2)
    gap = LEFT[treatment] + 0.15 * noise + shared + own[0]
    if treatment == "before" and tuned:
        gap = 0.19 + shared + own[0]
    best = 0.82 - 0.4 * noise + own[1]
    if cell.extent.amount == 0.95 and treatment != "during":
        gap, best = 0.02, 0.07
    table = _table(best, max(best - max(gap, 0.0), 0.0), 0.1 if best > 0.5 else 0.01)
    dense = _table(0.82, 0.82 - LEFT[treatment] - shared, 0.1)
    counts = GroupCounts(("sex",), GROUPS, CLASSES, table)
    paired = PairedCounts(("sex",), GROUPS, CLASSES, _paired(dense, table))
    return Row(
        study=plan.study, plan=digest, cell=cell.key, condition=cell.condition, seed=cell.seed, status="done",
        noise=str(cell.noise), keep=str(cell.keep), thin=str(cell.thin), extent=extent, treatment=treatment,
        data="drawn", rows=5000, network="MLP 128-64", target="local", processor="a processor",
        runtime="onnxruntime 1.32.0", threads=1, versions="edgefair 0.1.0", counts=json.dumps(counts.to_json()),
        flips=flips_json(paired, None), flips_dense=flip_rate(paired), bytes=BYTES[extent] * 2,
        packed_bytes=BYTES[extent], seconds=1.0, **vars(decided(counts)),
    )  # fmt: skip


def _table(best, worst, false):
    """Counts [group, label, decision] of two groups from their TPRs and a common FPR."""
    positive = np.round(ROWS * np.array([[false, worst], [false, best]])).astype(np.int64)
    return np.stack([ROWS - positive, positive], axis=2)


def _paired(one, other):
    """As many rows that agree as the counts allow, [group, label, first, second]."""
    table = np.zeros((2, 2, 2, 2), np.int64)
    for decision in range(2):
        table[..., decision, decision] = np.minimum(one[..., decision], other[..., decision])
    rest = one - np.minimum(one, other)
    table[..., 0, 1], table[..., 1, 0] = rest[..., 0], rest[..., 1]
    return table


SIMULATED = """
study: simulated
factors:
  extent: [none, finetune-only, int8, prune 0.5, prune 0.8, prune 0.95]
responses: [gap, worst_balanced]
seeds: 10
"""
# Between seeds, of a paired difference of two cells.
SD = 0.02


def simulated(plan, effects, study):
    """Rows whose cells differ from the control by what is given, and by chance.

    Args:
        effects: (extent, response) -> true difference from finetune-only.
        study: number of the study: another one, other seeds.
    """
    rng, digest = np.random.default_rng(study), plan_digest(plan)
    rows = []
    for cell in plan.cells:
        own = rng.normal(0, SD / np.sqrt(2), len(plan.responses))
        values = {name: 0.3 + effects.get((str(cell.extent), name), 0.0) + float(own[at])
                  for at, name in enumerate(plan.responses)}  # fmt: skip
        rows.append(
            Row(study="simulated", plan=digest, cell=cell.key, condition=cell.condition, seed=cell.seed, status="done",
                noise="0", keep="all", thin="none", extent=str(cell.extent), treatment="none", collapsed=False,
                **values)
        )  # fmt: skip
    return rows
