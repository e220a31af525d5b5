"""What was measured on one target: differences, rates, changed decisions, latency."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgefair.decision.policy import Policy
from edgefair.decision.verdict import AttributeSummary, Comparison, Outcome, Verdict
from edgefair.joint import group_name
from edgefair.measure.flips import CellFlips
from edgefair.measure.scores import Interval
from edgefair.report.charts.bars import Bar, bars
from edgefair.report.charts.forest import Row, forest
from edgefair.report.numbers import between, shown
from edgefair.report.page import sentences
from edgefair.report.page.latency import latency, pool
from edgefair.report.page.parts import Block, Cell, Chart, Listing, Mark, More, Section, Table
from edgefair.report.page.words import why_of
from edgefair.report.results.verification import Report, TargetResult
from edgefair.report.worst_groups import worst_groups

PAINT = {Outcome.PASS: "pass", Outcome.FAIL: "fail", Outcome.INCONCLUSIVE: "unsure"}
MOST_DRAWN, MOST_ROWS = 20, 2000


def target_sections(target: TargetResult, report: Report, where: str) -> Iterator[Section]:
    """What was measured on one target.

    Args:
        where: behind the headings, where there are several targets.
    """
    verdict = target.verdict
    policy = Policy.model_validate(report.policy)
    blocks = [*_looks(target), *differences(verdict.comparisons, verdict.comparisons_total)]
    yield Section(f"Differences between groups{where}", sentences.DIFFERENCES, blocks)
    blocks = [block for summary in verdict.attributes for block in _groups(verdict, summary, policy)]
    yield Section(f"Rates and rows by group{where}", sentences.RATES, blocks)
    if target.flips:
        yield Section(
            f"Decisions that compression changed{where}", sentences.FLIPS, list(changed_decisions(target.flips))
        )
    if target.information.scores:
        yield Section(f"Scores by group{where}", sentences.SCORES, list(_scores(target)))
    yield Section(f"Latency{where}", sentences.SPEED, list(latency(target)))
    if devices := list(pool(target)):
        yield Section(f"Devices of the pool{where}", sentences.POOL, devices)


def _looks(target: TargetResult) -> Iterator[Block]:
    """How far a sequential measurement went."""
    looks = target.looks
    if looks is not None:
        rows = f"{looks.rows:,} of {looks.rows_at_hand:,} rows"
        yield Listing([f"measured in steps: decided at look {looks.taken} of {len(looks.fractions)}, with {rows}"])


def _scores(target: TargetResult) -> Iterator[Block]:
    """How well the scores serve each group, at any threshold."""
    for attribute, groups in target.information.scores.items():
        rows = [_score(group.group, group.auc) for group in groups]
        caption = f"{attribute}: area under the ROC curve (AUC) of each group"
        yield Chart(forest(caption, rows[:MOST_DRAWN], high=1.0), caption)
        table = [[group.group, *_interval(group.auc), *_interval(group.calibration)] for group in groups[:MOST_ROWS]]
        head = ["group", "AUC", "interval", "mean score minus rate", "interval"]
        yield More(f"{attribute}: all numbers", [Table(f"{attribute}, scores", head, table, frozenset(range(1, 5)))])


def _score(group: str, found: Interval | None) -> Row:
    if found is None:
        return Row(group, None, None, None, "candidate", "too few rows")
    return Row(group, found.value, found.lower, found.upper, "candidate", shown(found.value))


def _interval(found: Interval | None) -> tuple[str, str]:
    return ("?", "") if found is None else (shown(found.value), between(found.lower, found.upper))


def differences(comparisons: Sequence[Comparison], total: int, *, judged: bool = True) -> Iterator[Block]:
    """The worst differences drawn, and all that are listed as a table.

    Args:
        total: how many there are.
        judged: whether there was a threshold, and so outcomes that mean something.
    """
    if not comparisons:
        return
    drawn = [item for item in comparisons if item.difference is not None][:MOST_DRAWN]
    for threshold in dict.fromkeys(item.threshold for item in drawn):
        rows = [
            Row(
                item.name, abs(item.difference or 0.0), item.lower, item.upper,
                PAINT[item.outcome] if judged else "candidate", item.outcome if judged else "",
            )
            for item in drawn
            if item.threshold == threshold
        ]  # fmt: skip
        caption = f"The {len(rows)} worst of {total:,} differences"
        caption += f"; threshold {threshold:g}" if judged else ""
        yield Chart(forest(caption, rows, threshold=threshold if judged else None), caption)
    first = 2 if judged else 1
    rows_of: list[list[Cell]] = [
        [
            item.name, *([Mark(item.outcome)] if judged else []), shown(item.rate_a), shown(item.rate_b),
            f"{item.n_a:,} and {item.n_b:,}", between(item.lower, item.upper), *([why_of(item)] if judged else []),
        ]
        for item in comparisons
    ]  # fmt: skip
    numbers = ["first rate", "second rate", "rows", "limits of the difference"]
    head = ["comparison", *(["verdict"] if judged else []), *numbers, *(["why"] if judged else [])]
    yield More(
        f"The numbers of {len(comparisons):,} comparisons" + (f", of {total:,}" if total > len(comparisons) else ""),
        [Table("Comparisons, worst first", head, rows_of, frozenset(range(first, first + len(numbers))))],
    )


def _groups(verdict: Verdict, summary: AttributeSummary, policy: Policy) -> Iterator[Block]:
    least = policy.cell_rows(policy.threshold(summary.attribute))
    cells = [(group, rate) for group in summary.groups for rate in group.rates]
    worst = worst_groups(verdict, summary)
    chosen = [(group, rate) for group, rates in worst.groups for rate in rates]
    left = f", without {worst.left}" if worst.left else ""
    caption = f"{summary.attribute}: rates of {len(chosen)} of {len(cells):,} cells{left}"
    rates = [
        Row(f"{group.group}: {rate.measure}", rate.rate, rate.lower, rate.upper, "candidate", shown(rate.rate))
        for group, rate in chosen
    ]
    yield Chart(forest(caption, rates, high=1.0), caption)
    counted = f"{summary.attribute}: audit rows by cell; at least {least:,} are needed (dashed)"
    yield Chart(
        bars(
            counted,
            [
                Bar(f"{group.group}: {rate.measure}", rate.n, "candidate" if rate.n >= least else "fail", f"{rate.n:,}")
                for group, rate in chosen
            ],
            least=least,
        ),
        counted,
    )
    rows = [
        [
            group.group, rate.measure, f"{rate.n:,}", shown(rate.rate), between(rate.lower, rate.upper),
            shown(group.balanced_accuracy),
        ]
        for group, rate in cells[:MOST_ROWS]
    ]  # fmt: skip
    head = ["group", "rate of", "rows", "estimate", "interval", "balanced accuracy of the group"]
    of = "all numbers" if len(cells) <= MOST_ROWS else f"{MOST_ROWS:,} of {len(cells):,} cells; the JSON has all"
    yield More(
        f"{summary.attribute}: {of}",
        [Table(f"{summary.attribute}, rates by group", head, rows, frozenset([2, 3, 4, 5]))],
    )


def changed_decisions(flips: Sequence[CellFlips]) -> Iterator[Block]:
    """Whose decisions became right and whose wrong."""
    cells = [cell for cell in flips if cell.flipped]
    if not cells:
        yield Listing(["no decision was changed"])
        return
    named = [(f"{group_name(cell.group)}, label {cell.label}", cell) for cell in cells]
    worst = sorted(named, key=lambda item: item[1].corrected - item[1].broken)[:MOST_DRAWN]
    caption = f"Changed decisions, {len(worst)} of {len(cells)} cells: broken to the left, corrected to the right"
    yield Chart(
        bars(
            caption,
            [
                Bar(name, cell.corrected, "pass", f"{cell.broken:,} broken, {cell.corrected:,} corrected", cell.broken)
                for name, cell in worst
            ],
        ),
        caption,
    )
    head = ["group and label", "rows", "changed", "corrected", "broken", "times its share", "p (McNemar, Holm)"]
    rows = [
        [
            name, f"{cell.rows:,}", f"{cell.flipped:,}", f"{cell.corrected:,}", f"{cell.broken:,}",
            "?" if cell.over_representation is None else f"{cell.over_representation:.1f}", f"{cell.p_holm:.2g}",
        ]
        for name, cell in named
    ]  # fmt: skip
    yield More("All numbers", [Table("Changed decisions by cell", head, rows, frozenset(range(1, 7)))])
