"""What a study found, in the words that every form of it shares: titles that claim no more than its seeds carry."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from edgefair.report.results.study import Claim, Finding, Level, Mean, StudyReport, StudyResponse

# Family of contrasts -> what it asks, in the order of a report; others are the plan's own.
FAMILIES = {
    "extent": "Extent: each one minus finetune-only",
    "precision": "Precision: INT8, 4-bit weights or FP16 minus the same network in float",
    "treatment": "Treatment: each one minus none, and minus label-balance",
    "undoing": "Undoing: what an extent takes away of a treatment, beyond what the fine-tune does",
    "slope": "Purity: slopes per 10 % of noise, per doubling of the rows, per 10 % kept of a cell",
    "null": "Null: the dense network of another order of rows, where no effect is due",
}
CLAIMS: tuple[Claim, ...] = ("effect", "small effect", "no effect above delta", "no claim")
EXPLORATORY = "Exploratory: no contrast of this was planned."
PURITY = ("noise", "keep", "thin")
PUBLISHED = ("extent", "what", "published", "found here")


def families(report: StudyReport) -> Iterator[tuple[str, str, list[Finding]]]:
    """Name, question and findings of every family, those of the defaults first."""
    names = dict.fromkeys(item.family for item in report.findings)
    for name in sorted(names, key=lambda name: list(FAMILIES).index(name) if name in FAMILIES else len(FAMILIES)):
        yield name, FAMILIES.get(name, f"Contrasts '{name}' of the plan"), [
            item for item in report.findings if item.family == name
        ]  # fmt: skip


def headline(report: StudyReport) -> str:
    """The whole study in a line."""
    if not report.complete:
        return f"Incomplete: {report.cells - report.not_run:,} of {report.cells:,} cells have run"
    if not report.can_claim:
        return f"No claim: {len(report.seeds)} seeds of the {report.claim_seeds} that one needs"
    found = sum(item.is_effect for item in report.findings if item.planned)
    planned = sum(item.planned for item in report.findings)
    return f"{_of(found, planned)} planned contrasts {'shows' if found == 1 else 'show'} an effect"


def lead(report: StudyReport) -> str:
    """What was run, and the families in a sentence each."""
    said = [f"{report.cells - report.not_run:,} of {report.cells:,} planned cells have run"]
    said[0] += f", {report.failed:,} of them failed" if report.failed else ""
    said[0] += f", {report.collapsed:,} models collapsed (they find nobody)" if report.collapsed else ""
    if not report.complete:
        said.append("numbers so far are shown, and nothing is claimed before all cells have run")
    elif not report.can_claim:
        said.append(f"with {len(report.seeds)} seeds no claim at {points(report)} points can be made")
    else:
        for name, _, findings in families(report):
            counted = [f"{sum(item.claim == claim for item in findings)} {words}" for claim, words in (
                ("effect", "with an effect"), ("small effect", f"with one below {points(report)} points"),
                ("no effect above delta", f"with none above {points(report)} points"), ("no claim", "without a claim"),
            ) if any(item.claim == claim for item in findings)]  # fmt: skip
            said.append(f"{name}: {', '.join(counted)}")
    return f"{'. '.join(text[0].upper() + text[1:] for text in said)}."


def steps(report: StudyReport) -> tuple[str, ...]:
    """What to do next."""
    found = []
    if not report.complete:
        found.append("run the same `edgefair study` command again: it goes on where it was stopped")
    if report.failed:
        found.append("look at the cells that failed: a contrast without one of its cells rests on fewer seeds")
    if report.complete and not report.can_claim:
        needed = [item.needed for item in report.visible if item.of == "median" and item.needed is not None]
        more = max([report.claim_seeds, *needed])
        found.append(f"set `seeds: {more}` or more in the plan for claims at {points(report)} points")
    if report.complete and report.can_claim:
        found.append("confirm what matters on fresh seeds, and what is exploratory in a plan that asks for it")
    return tuple(found)


Line = tuple[str, ...]
# What is said once of all contrasts of a table, and not in every line of it; the last column by claim.
UNCLAIMED = ("contrast", "response", "difference", "seeds")
EXCLUDED, SEEN = "none above", "these seeds see"


def unclaimed(report: StudyReport, findings: Sequence[Finding]) -> Iterator[tuple[str, Line, list[Line]]]:
    """Contrasts that show no effect, by what they do show: what it is, the head of a table, and its rows."""
    for claim in ("no effect above delta", "no claim"):
        own = [item for item in findings if item.claim == claim]
        if own:
            excluded = claim == "no effect above delta"
            head = (*UNCLAIMED, EXCLUDED if excluded else SEEN)
            yield _without(report, own, excluded=excluded), head, [_line(report, item, excluded) for item in own]


def _without(report: StudyReport, own: Sequence[Finding], *, excluded: bool) -> str:
    number = "1 contrast" if len(own) == 1 else f"{len(own):,} contrasts"
    if excluded:
        return f"No effect above {points(report)} points: {number}"
    if not report.complete:
        return f"No claim before the whole study has run: {number}"
    if not report.can_claim:
        return f"No claim with {len(report.seeds)} seeds of the {report.claim_seeds} that one needs: {number}"
    return f"No claim: {number}"


def _line(report: StudyReport, item: Finding, excluded: bool) -> Line:
    response = report.response(item.response)
    left = ((item.collapsed, "collapsed"), (item.missing, "without a number"))
    out = [f"{len(seeds)} {why}" for seeds, why in left if seeds]
    seeds = str(len(item.by_seed)) + (f" ({', '.join(out)})" if out else "")
    shown = item.bound if excluded else item.visible
    limit = "?" if shown is None else f"{max(0.1, _up(shown * response.scale)):.1f} {response.unit}"
    name = item.name if item.planned else f"{item.name} (exploratory)"
    return name, response.words, value(item, response), seeds, limit


def title(report: StudyReport, response: StudyResponse, findings: Sequence[Finding], where: str = "") -> str:
    """What these contrasts of one response show, as the title of a plot.

    Args:
        where: behind the response, as " over noise".
    """
    own = [item for item in findings if item.response == response.name and item.planned]
    words = response.words[0].upper() + response.words[1:] + where
    if not own:
        return f"{words}. {EXPLORATORY}"
    if not report.complete:
        return f"{words}: no claim before the whole study has run"
    if not report.can_claim:
        return f"{words}: no claim at {points(report)} points, {len(report.seeds)} of {report.claim_seeds} seeds"
    shown = [item for item in own if item.is_effect]
    bounded = sum(item.claim == "no effect above delta" for item in own)
    if shown:
        largest = max(shown, key=lambda item: abs(item.mean or 0.0))
        told = f"{value(largest, response)} ({largest.name})"
        if len(own) == 1:
            return f"{words}: its one contrast shows an effect, {told}"
        said = f"{_of(len(shown), len(own))} contrasts {'shows' if len(shown) == 1 else 'show'} an effect"
        return f"{words}: {said}, the largest {told}"
    said = f"{words}: none of {len(own):,} contrasts shows an effect"
    return said + (f", {bounded:,} exclude one above {points(report)} points" if bounded else "")


def value(finding: Finding, response: StudyResponse) -> str:
    """Mean and half of the 95 % interval, as "+1.2 +- 0.3 points"."""
    if finding.mean is None:
        return "no number"
    said = f"{finding.mean * response.scale:+z.1f}"
    if finding.lower is not None and finding.upper is not None:
        said += f" +- {_up((finding.upper - finding.lower) / 2 * response.scale):.1f}"
    return f"{said} {response.unit}"


def short_claim(finding: Finding, response: StudyResponse) -> str:
    """The claim in a few words, for the end of a row."""
    if finding.mean is None:
        return "no number"
    p = "" if finding.p_holm is None else ", p < 0.001" if finding.p_holm < 0.001 else f", p {finding.p_holm:.3f}"
    bound = f"{max(0.1, _up((finding.bound or 0.0) * response.scale)):.1f}"
    left = len(finding.collapsed) + len(finding.missing)
    out = f"; {left} seed{'s' * (left > 1)} out" if left else ""
    return {
        "effect": f"effect{p}",
        "small effect": f"effect{p}, at most {bound}",
        "no effect above delta": f"none above {bound}",
        "no claim": "no claim",
    }[finding.claim] + out


def condition(report: StudyReport, factors: Mapping[str, str], *, purity: bool = True) -> str:
    """Extent and treatment in short, and the factors of purity that vary, unless all that is shown has the first."""
    shown = [name for name in PURITY if purity and len(report.factors[name]) > 1]
    return ", ".join(f"{name} {factors[name]}" for name in ("extent", "treatment", *shown))


def published(report: StudyReport) -> list[tuple[str, ...]]:
    """Rows of what a paper says and what this study found, in percent and points."""
    return [
        (item.extent, item.what, f"{100 * item.published:z.1f}", "?" if item.found is None else half_width(item.found))
        for item in report.published
    ]


def half_width(found: Mean, *, scale: float = 100.0, digits: int = 1) -> str:
    """A mean over seeds and half of its 95 % interval."""
    said = f"{found.value * scale:z.{digits}f}"
    if found.lower is None or found.upper is None:
        return said
    return f"{said} +- {(found.upper - found.lower) / 2 * scale:z.{digits}f}"


def mean(level: Level, response: StudyResponse) -> str:
    """Mean over seeds and half of its 95 % interval, in the unit of the response; `?` where nothing was measured."""
    found = level.values.get(response.name)
    if found is None:
        return "?"
    return half_width(found, scale=response.scale, digits=1 if response.is_share else 3)


def points(report: StudyReport) -> str:
    """The effect that is asked about, in points."""
    return f"{100 * report.delta:g}"


def _up(value: float) -> float:
    """To a tenth, upwards: a bound that is rounded down says too much."""
    return math.ceil(round(value * 10, 6)) / 10


def _of(some: int, all_of: int) -> str:
    return f"{some:,} of {all_of:,}" if some else f"None of {all_of:,}"
