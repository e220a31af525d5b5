"""What a training run gave, for people and as JSON."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from edgefair.measure.counts import GroupCounts

if TYPE_CHECKING:
    from edgefair.training.run import Run


def print_run(run: Run, *, as_json: bool) -> None:
    """Rates per group on the validation rows; no verdict, because those rows chose the model."""
    if as_json:
        content = {"schema": "edgefair.run/1", "folder": str(run.folder), "settings": run.settings, **run.metrics}
        sys.stdout.write(json.dumps(content, indent=1) + "\n")
        return
    from rich.table import Table

    from edgefair.report.console import stdout_console

    counts = GroupCounts.from_json(run.metrics["validation"])
    table = Table(box=None, pad_edge=False)
    table.add_column("group")
    table.add_column("rows", justify="right")
    labels = ("FPR", "TPR") if len(counts.classes) == 2 else tuple(f"recall of {name}" for name in counts.classes)
    for name in labels:
        table.add_column(name, justify="right")
    for group, x in zip(counts.groups, counts.table, strict=True):
        hits = x[:, 1] if len(counts.classes) == 2 else x.diagonal()
        rates = [f"{hit / n:.4f}" if n else "no rows" for hit, n in zip(hits, x.sum(axis=1), strict=True)]
        table.add_row("*".join(group), f"{int(x.sum()):,}", *rates)
    console = stdout_console()
    console.print(f"trained {run.folder}; on its validation rows (estimates, no verdict):", soft_wrap=True)
    console.print(table)
    standing = run.metrics["standing"]
    console.print(
        f"accuracy {standing['accuracy']:.4f}, balanced {standing['balanced_accuracy']:.4f}; "
        f"equalized-odds gap {standing['gap']:.4f}"
    )
    if run.metrics["epochs"]:
        console.print(f"kept epoch {run.metrics['kept_epoch']} of {len(run.metrics['loss'])}, the best on these rows")
    for note in run.metrics["notes"]:
        console.print(f"note: {note}", markup=False, soft_wrap=True)
