"""How the page of a result that is no verdict begins: what was found, in words, and what to do next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from edgefair.decision.verdict import Outcome
from edgefair.joint import group_name
from edgefair.report.next_steps import EXPLAIN, MORE_ROWS
from edgefair.report.numbers import shown
from edgefair.report.results.audit import AuditStatus
from edgefair.report.results.cleaning import Cleaning
from edgefair.report.results.comparison import ComparisonReport
from edgefair.report.results.data import Summary
from edgefair.report.results.diagnosis import Diagnosis, Exposure
from edgefair.report.results.explanation import Explanation
from edgefair.report.results.failure import Failure
from edgefair.report.results.installation import Installation
from edgefair.report.results.label_plan import LabelPlan
from edgefair.report.results.plan import WANTED_POWER, Plan
from edgefair.report.results.studies import Foreseen, Studies, StudyRun
from edgefair.report.results.targets import Device, Targets
from edgefair.report.results.training import Trained

# Of cells that lack rows, so many are named before the rest is left to the result below.
NAMED = 3
OF_COMPARISON = {
    None: "give --max-eo-increase to have the growth judged",
    Outcome.PASS: "judge the whole release: `edgefair verify` asks every gate of the policy, on the device",
    Outcome.FAIL: EXPLAIN,
    Outcome.INCONCLUSIVE: MORE_ROWS,
}


@dataclass(frozen=True)
class Opening:
    """The first screen of a page.

    Attributes:
        headline: what this is, or what was found.
        lead: the finding in words.
        steps: what to do next.
        outcome: of a comparison with a threshold; empty elsewhere.
    """

    headline: str
    lead: str
    steps: tuple[str, ...] = ()
    outcome: str = ""


def _comparison(report: ComparisonReport) -> Opening:
    parts = []
    flipped = sum(cell.flipped for cell in report.flips)
    if report.flips:
        rows = sum(cell.rows for cell in report.flips)
        parts.append(
            f"From '{report.before}' to '{report.after}' {flipped:,} of {rows:,} decisions change: "
            f"{sum(cell.corrected for cell in report.flips):,} become right and "
            f"{sum(cell.broken for cell in report.flips):,} wrong."
        )
    worst = max(report.flips, key=lambda cell: cell.broken, default=None)
    if worst is not None and worst.broken:
        group = group_name(worst.group)
        parts.append(f"Most become wrong in the group '{group}' with label '{worst.label}': {worst.broken:,}.")
    if not report.paired:
        parts.append(f"UNPAIRED: {report.why_unpaired}.")
    if report.upper is not None:
        grows = f"A difference between two groups grows by at most {100 * report.upper:.1f} points"
        allowed = "" if report.threshold is None else f", and {100 * report.threshold:.3g} are allowed"
        parts.append(f"{grows} (confidence {1 - report.alpha:.4g}){allowed}.")
    headline = "What changed, and for whom" if report.outcome is None else str(report.outcome)
    return Opening(headline, " ".join(parts), (OF_COMPARISON[report.outcome],), str(report.outcome or ""))


def _explanation(report: Explanation) -> Opening:
    low = report.precision
    hurting = [(loss, item, at) for item in report.layers if (at := item.hurt) is not None
               if (loss := item.within.loss[at]) is not None]  # fmt: skip
    if not hurting:
        return Opening("Which layer hurts whom", f"In no layer does {low} make the loss of any group and label grow.")
    loss, item, at = max(hurting, key=lambda found: found[0])
    lead = (
        f"{low} in the layer '{item.node}' hurts '{report.cells[at].name}' most: the mean loss of these rows grows by "
        f"{loss:.3f} nats by it alone, with every other layer in {low}."
    )
    steps = [
        "where a gate fails, `edgefair export` with its repair brings the fewest such layers back to float; "
        "compress.repair says what it may do"
    ]
    if report.noticed("saturation"):
        steps.append("sums of some layers saturate on x86 processors without VNNI: the repair gives them 7-bit weights")
    if report.noticed("clipping"):
        steps.append("the calibrated ranges cut off inputs: another --calibration may keep them")
    if report.noticed("overflow"):
        steps.append("some outputs are too large for FP16: keep their layers in float")
    return Opening("Which layer hurts whom", lead, tuple(steps))


def _plan(plan: Plan) -> Opening:
    fair = plan.power[0]
    lacking = [f"{item.attribute}: {text}" for item in plan.attributes for text in item.lacking]
    if lacking:
        left = f", and {len(lacking) - NAMED:,} more cells" if len(lacking) > NAMED else ""
        return Opening(
            "These rows can only be INCONCLUSIVE",
            "Some groups lack rows, so nothing can be shown of them, whatever the model does.",
            (f"collect audit rows: {'; '.join(lacking[:NAMED])}{left}",),
        )
    lead = f"A perfectly fair model would PASS with a chance of {fair.chance:.0%}"
    others = [item for item in plan.power[1:] if item.gap > 0]
    lead += f", one with a true gap of {others[0].gap:g} with {others[0].chance:.0%}." if others else "."
    if plan.can_pass:
        return Opening("These rows can decide", lead, ("train and export: `edgefair train`, `edgefair export`",))
    more = "?" if fair.times_rows is None else f"{fair.times_rows:g} times"
    step = f"collect more audit rows: {more} these give a fair model a chance of {WANTED_POWER:.0%}; or allow more"
    return Opening("These rows are too few", lead, (step,))


def _diagnosis(report: Diagnosis) -> Opening:
    worst = next((cell for cell in report.cells if cell.loss_bound is not None), None)
    lead = "What compression can do to whom was not measured." if worst is None else _exposed(worst, report)
    steps = (
        "compress, and let `edgefair verify` measure what became of them",
        "more rows of who is exposed, or a debiasing method (docs/debias.md), lower what they can lose",
    )
    return Opening("Who stands to lose from compression", f"{lead} A hint, and not a verdict.", steps)


def _exposed(cell: Exposure, report: Diagnosis) -> str:
    return (
        f"Most exposed: '{cell.name}', {cell.rows:,} training rows. If compression moves the weights by "
        f"{report.extent:.3g} of their norm, its mean loss of {shown(cell.loss)} can grow by {shown(cell.loss_bound)}."
    )


def _label_plan(plan: LabelPlan) -> Opening:
    lead = f"{plan.chosen:,} of {plan.rows:,} audit rows tell most, as '{plan.model}' scores them."
    if plan.lacking:
        lead += f" INCONCLUSIVE is to be expected with so few labels: {'; '.join(plan.lacking[:NAMED])}."
    steps = (f"label the rows that {plan.to_label} lists, and leave all others empty",
             f"set data.label_design: {plan.design}")  # fmt: skip
    return Opening(f"{plan.chosen:,} rows to label", lead, steps)


def _audit(status: AuditStatus) -> Opening:
    asked = f"{status.asked:,} sealed verdicts were asked of these {status.rows:,} rows so far."
    if status.opened is not None:
        return Opening("Opened", f"{status.opened}. {asked} No sealed verdict rests on them any more.")
    if status.policy != "sealed" and not status.asked:
        return Opening("Not sealed", f"{asked} policy.audit is open: every verdict shows all of its numbers.")
    if status.next_level is None:
        spent = f"{asked} Every further one is INCONCLUSIVE."
        return Opening("Sealed, and spent", spent, ("judge on audit rows that no verdict has seen",))
    return Opening("Sealed", f"{asked} The next one may err by {status.next_level:.3g}.")


def _data(summary: Summary) -> Opening:
    cells = [
        (count, f"'{group}' of {', '.join(item.attributes)} with label '{name}'")
        for item in summary.cells.get("audit", ())
        for group, counts in zip(item.groups, item.counts.tolist(), strict=True)
        for name, count in zip(item.classes, counts, strict=True)
    ]
    rows = ", ".join(f"{count:,} {split}" for split, count in summary.rows.items())
    least = min(cells, default=None)
    lead = f"{len(summary.features):,} features; rows: {rows}."
    lead += "" if least is None else f" Fewest audit rows: {least[1]}, {least[0]:,}."
    return Opening("Who is in the data", lead, ("`edgefair plan` says whether the audit rows can decide",))


def _cleaning(report: Cleaning) -> Opening:
    worst = next(iter(report.cells), None)
    lead = f"{len(report.suspicious):,} of {report.rows:,} training labels are suspicious."
    lead += "" if worst is None else f" Most in '{worst.group}' with label '{worst.label}': {worst.share:.1%}."
    return Opening("Labels that look wrong", lead, ("look at them: `edgefair data clean -o suspicious.csv`",))


def _error(failure: Failure) -> Opening:
    found, *advice = failure.lines
    return Opening("No verdict", f"Nothing was judged: {found}.", tuple(advice))


def _trained(run: Trained) -> Opening:
    standing = run.metrics["standing"]
    lead = (
        f"On its validation rows: balanced accuracy {shown(standing['balanced_accuracy'])}, equalized-odds gap "
        f"{shown(standing['gap'])}. Those rows chose the model, so these are estimates."
    )
    return Opening("Trained", lead, ("`edgefair export --int8` compresses it and judges the file on audit rows",))


def _targets(known: Targets) -> Opening:
    ready = sum(item.lacks is None for item in known.targets)
    lead = f"Of {len(known.targets)} targets {ready} lack nothing that is known on this machine."
    return Opening("Devices", lead, ("`edgefair target prepare` gets one ready",))


def _device(device: Device) -> Opening:
    said = device.fingerprint
    return Opening("A device", f"It is {said.get('cpu', said.get('machine', 'unknown'))}.")


def _installation(found: Installation) -> Opening:
    ready = [extra.name for extra in found.extras if extra.name and not extra.lacking]
    lead = f"edgefair {found.version} on Python {found.python}; extras that are ready: {', '.join(ready) or 'none'}."
    return Opening("What works here", lead, tuple(extra.fix for extra in found.extras if extra.lacking))


def _study_run(run: StudyRun) -> Opening:
    first, *others = run.lines
    return Opening("A study was run", f"{first}.", (f"`edgefair study report {run.folder}`", *others))


def _foreseen(found: Foreseen) -> Opening:
    first, *_ = found.lines
    return Opening("A study that has not been run", f"{first}.")


def _studies(known: Studies) -> Opening:
    lead = f"{len(known.studies)} studies ship with edgefair."
    return Opening("Studies", lead, ("`edgefair study NAME --dry-run` says what one takes and can show",))


OPENINGS: Mapping[str, Callable[[Any], Opening]] = {
    "edgefair.explanation": _explanation,
    "edgefair.compare": _comparison,
    "edgefair.plan": _plan,
    "edgefair.diagnosis": _diagnosis,
    "edgefair.label-plan": _label_plan,
    "edgefair.audit": _audit,
    "edgefair.data": _data,
    "edgefair.cleaning": _cleaning,
    "edgefair.trained": _trained,
    "edgefair.targets": _targets,
    "edgefair.device": _device,
    "edgefair.installation": _installation,
    "edgefair.studies": _studies,
    "edgefair.study-run": _study_run,
    "edgefair.study-foreseen": _foreseen,
    "edgefair.error": _error,
}
