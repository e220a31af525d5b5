"""The report as a person reads it in a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from edgefair.decision.verdict import AttributeSummary, CellRate, Gate, Outcome, Verdict
from edgefair.joint import group_name
from edgefair.measure.flips import CellFlips
from edgefair.measure.scores import Interval
from edgefair.measure.sequential.looks import Looks
from edgefair.report.hit import beginnings, chance_of_hit, group_hit
from edgefair.report.judged import VACUOUS, Status, status_of
from edgefair.report.numbers import shown
from edgefair.report.results.verification import NOT_ATTESTED, GroupScores, LedgerCount, Report, Seal, TargetResult
from edgefair.report.terminal.rows import data_line
from edgefair.report.terminal.tables import plain_table
from edgefair.report.terminal.timing import device_line, latency_lines
from edgefair.report.titles import title_of
from edgefair.report.worst_groups import LEAST, WIDE, WorstGroups, worst_groups

# Comparisons beyond their threshold that are named.
FAILING = 5
COLOUR = {Outcome.PASS: "bold green", Outcome.FAIL: "bold red", Outcome.INCONCLUSIVE: "bold yellow"}
COLOUR_OF = {Status.VACUOUS: "bold yellow"}


def render(report: Report) -> RenderableType:
    """The whole report, to be printed on a rich console."""
    parts: list[RenderableType] = [_headline(report), *_facts(report)]
    for target in report.targets:
        parts += ["", *_target(target, several=len(report.targets) > 1)]
    if report.disagreements:
        parts += ["", *_fleet(report)]
    parts += [f"note: {note}" for note in report.notes]
    if report.seal is not None:
        parts.append(_seal(report.seal))
    if report.ledger is not None:
        parts.append(_ledger(report.ledger))
    exceptions = {item for target in report.targets for item in target.verdict.exceptions}
    parts += [Text(f"EXCEPTION {item}", style="bold yellow") for item in sorted(exceptions)]
    return Group(*parts)


def _ledger(ledger: LedgerCount) -> str:
    """How often these rows were used, and what a PASS on them is worth by now."""
    said = f"ledger: verdict {ledger.verdicts} on these rows, {ledger.models} models so far"
    if ledger.chance is None or ledger.tries == 1:
        return said
    return (
        f"{said}; were none of them within the thresholds, one would PASS by chance with a probability of up to "
        f"{ledger.chance:.0%}, and of more where these rows helped to choose them (see policy.audit)"
    )


def _seal(seal: Seal) -> str:
    spent = "its level is spent" if seal.level is None else f"level {seal.level:.3g}"
    return f"seal: verdict {seal.verdict} on these rows, {spent}; account '{seal.account}', line {seal.head[:16]}"


def _headline(report: Report) -> Text:
    if report.seal is not None and not report.targets:
        return Text.assemble(("not PASS ", COLOUR[report.outcome]), ("BLOCKED", "bold"), f"  {report.model.path}")
    words = {0: "may ship", 1: "BLOCKED", 3: "BLOCKED"}[report.exit_code]
    words += f", {NOT_ATTESTED}" if report.decisions is not None else ""
    return Text.assemble((f"{report.outcome} ", COLOUR[report.outcome]), (words, "bold"), f"  {report.model.path}")


def _facts(report: Report) -> list[RenderableType]:
    model, before = report.model, report.reference
    times = None if before is None else before.times(model)
    if model.is_same(before):
        size = ", not compressed"
    else:
        size = "" if times is None else f", {times:.2f}x smaller than the reference"
    level = report.policy["alpha"] if report.seal is None else report.seal.level
    confidence = "" if level is None else f", confidence {100 * (1 - level):.6g}%"
    return [
        f"model   {model.said('sha256 {sha256:.16}  {bytes} bytes')}{size}",
        (
            f"audit   {report.audit.source}: {report.audit.rows:,} rows (digest {report.audit.fingerprint[:12]})"
            f"{confidence}"
        ),
        f"data    {data_line(report.data)}",
        *(f"{'taken   ' if not number else '        '}{said}" for number, said in enumerate(_assumptions(report))),
    ]


def _assumptions(report: Report) -> tuple[str, ...]:
    """What the verdicts take as true; the same on every target."""
    return report.targets[0].verdict.assumptions if report.targets else ()


def _target(target: TargetResult, *, several: bool) -> list[RenderableType]:
    verdict = target.verdict
    title = Text(f"target  {target.target}: {device_line(target.device)}")
    if several:
        title.append(f"  {verdict.outcome}", style=COLOUR[verdict.outcome])
    parts: list[RenderableType] = [title]
    if target.looks is not None:
        parts.append(_looks(target.looks, verdict))
    parts += [item for summary in verdict.attributes for item in _groups(verdict, summary)]
    parts += ["", *_gates(verdict.gates)]
    if verdict.accuracy is not None:
        parts.append(f"accuracy {verdict.accuracy:.4f} over {'all' if target.looks is None else 'these'} rows")
    flipped = sum(cell.flipped for cell in target.flips)
    if flipped:
        parts.append(_flips(target.flips, flipped))
    parts += [_scores(name, groups) for name, groups in target.information.scores.items()]
    if verdict.failing_total > 1:
        parts.append(f"{verdict.failing_total} comparisons are shown to exceed their threshold (Holm):")
        parts += [f"  {item.name}" for item in verdict.failing[:FAILING]]
    parts += latency_lines(target)
    return parts


def _looks(looks: Looks, verdict: Verdict) -> str:
    whole = "subjects whole, " if looks.units_at_hand != looks.rows_at_hand else ""
    return (
        f"looks   sequential: decided at look {looks.taken} of {len(looks.fractions)} with {looks.rows:,} of "
        f"{looks.rows_at_hand:,} rows ({whole}limits at a level of {verdict.alpha:.2g}, so that all looks together "
        "keep alpha)"
    )


def _scores(attribute: str, groups: tuple[GroupScores, ...]) -> Table:
    """How well the scores serve each group, at any threshold."""
    table = plain_table(f"{attribute}: scores of each group (information, no gate judges them)")
    table.add_column("group", overflow="fold", min_width=10)
    table.add_column("AUC [interval]", no_wrap=True)
    table.add_column("mean score - rate [interval]", no_wrap=True)
    for group in sorted(groups, key=lambda item: -1.0 if item.auc is None else item.auc.value)[:LEAST]:
        table.add_row(group.group, _interval(group.auc), _interval(group.calibration))
    if len(groups) > LEAST:
        table.add_row(f"and {len(groups) - LEAST:,} groups that are ranked better", "", "")
    return table


def _interval(found: Interval | None) -> str:
    return "too few rows" if found is None else f"{found.value:.4f} [{found.lower:.4f}, {found.upper:.4f}]"


def _fleet(report: Report) -> list[RenderableType]:
    """Where devices differ on the same bytes: rows, the group most concerned, verdicts and layer, per pair."""
    table = plain_table("devices")
    for column in ("devices", "decide differently", "most in group", "p", "verdicts"):
        table.add_column(column, overflow="fold")
    outcomes = {target.target: target.verdict.outcome for target in report.targets}
    for pair in report.disagreements:
        one, other = outcomes[pair.first], outcomes[pair.second]
        verdicts = f"both {one}" if one == other else Text(f"{one} and {other}: THEY DISAGREE", style="bold red")
        table.add_row(
            f"{pair.first} and {pair.second}",
            f"{pair.differing:,} of {pair.rows:,} rows",
            group_hit(pair),
            chance_of_hit(pair),
            verdicts,
        )
    return [table, *(Text(f" {said}") for said in beginnings(report.disagreements))]


def _groups(verdict: Verdict, summary: AttributeSummary) -> list[RenderableType]:
    """An attribute's gap and its groups; of many the worst ones, and the rates in which they differ most."""
    gap = "no gap: a cell has no rows" if summary.gap is None else f"equalized-odds gap {summary.gap:.4f}"
    title = f"{summary.attribute}: {gap} ({_parts(summary.parts)})"
    worst = worst_groups(verdict, summary)
    table = _wide(worst, title) if len(summary.groups[0].rates) <= WIDE else _long(worst, title)
    return [table, *([f"  and {worst.left}; --json has all of them"] if worst.left else [])]


def _parts(parts: dict[str, float | None]) -> str:
    """The largest differences by measure, and how many others there are."""
    ordered = sorted(parts.items(), key=lambda item: -1.0 if item[1] is None else -item[1])
    said = ", ".join(f"{name} {'?' if value is None else f'{value:.4f}'}" for name, value in ordered[:WIDE])
    return said if len(ordered) <= WIDE else f"{said} and {len(ordered) - WIDE:,} smaller differences"


def _wide(worst: WorstGroups, title: str) -> Table:
    table = plain_table(title)
    table.add_column("group", overflow="fold", min_width=10)
    for rate in worst.groups[0][1]:
        table.add_column(f"{rate.measure} [interval] of rows", no_wrap=True)
    table.add_column("balanced acc.", justify="right", no_wrap=True)
    for group, rates in worst.groups:
        table.add_row(group.group, *map(_rate, rates), _optional(group.balanced_accuracy))
    return table


def _long(worst: WorstGroups, title: str) -> Table:
    """A row for every group and rate."""
    table = plain_table(title)
    table.add_column("group", overflow="fold", min_width=10)
    table.add_column("balanced acc.", justify="right", no_wrap=True)
    table.add_column("rate", overflow="fold", min_width=10)
    table.add_column("[interval] of rows", no_wrap=True)
    for group, rates in worst.groups:
        for number, rate in enumerate(rates):
            first = (group.group, _optional(group.balanced_accuracy)) if number == 0 else ("", "")
            table.add_row(*first, rate.measure, _rate(rate))
    return table


def _optional(value: float | None) -> str:
    return "?" if value is None else f"{value:.4f}"


def _rate(rate: CellRate) -> str:
    if rate.rate is None:
        return "no rows"
    return f"{rate.rate:.4f} [{rate.lower:.4f}, {rate.upper:.4f}] of {rate.n:,}"


def _gates(gates: tuple[Gate, ...]) -> list[RenderableType]:
    lines: list[RenderableType] = []
    for gate in gates:
        limits = "" if gate.lower is None and gate.upper is None else f" [{shown(gate.lower)}, {shown(gate.upper)}]"
        status = status_of(gate, gates)
        lines.append(
            Text.assemble(
                (f"{status:<13}", COLOUR_OF.get(status, COLOUR[gate.outcome])),
                (title_of(gate.id), "bold"),
                f" {shown(gate.estimate)}{limits}, threshold {shown(gate.threshold)} ({gate.unit})",
            )
        )
        reason = f"{VACUOUS}. {gate.reason}" if status is Status.VACUOUS else gate.reason
        lines.append(Padding(reason, (0, 0, 0, 13)))
    return lines


def _flips(cells: tuple[CellFlips, ...], flipped: int) -> str:
    """Who the changed decisions belong to: the cell that is most over-represented among them."""
    most = max(cells, key=lambda cell: cell.over_representation or 0.0)
    return (
        f"compression changed {flipped:,} decisions; most over-represented: {group_name(most.group)} with label "
        f"'{most.label}', {most.over_representation:.1f}x its share ({most.corrected:,} corrected, "
        f"{most.broken:,} broken, "
        f"McNemar p {most.p_holm:.2g} after Holm)"
    )
