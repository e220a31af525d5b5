"""Planned contrasts: the forest of their effects, the dots of their seeds, and what an extent undoes of a treatment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from edgefair.report.charts.drawing import Drawing
from edgefair.report.charts.heat_map import Panel, heat_map
from edgefair.report.charts.studies.effects import Effect, effects
from edgefair.report.page.parts import Block, Chart, Listing
from edgefair.report.results.study import Finding, StudyReport, StudyResponse
from edgefair.report.study.words import points, short_claim, title

PAINT = {"effect": "candidate", "small effect": "candidate", "no effect above delta": "pass", "no claim": "unsure"}
# Of a drawing; the sentences have all of them.
MOST_DRAWN = 48


def forest(report: StudyReport, findings: Sequence[Finding], family: tuple[str, str]) -> Iterator[Block]:
    """A forest for every response of these contrasts.

    Args:
        family: its name, and what it asks.
    """
    for response, own in _by_response(report, findings):
        if all(item.mean is None for item in own):
            yield Listing([f"None of the {len(own):,} contrasts of {response.words}, {family[0]}, has a number."])
            continue
        finding = title(report, response, own, f", {family[0]}")
        drawn = _effects(report, response, own, finding, dots=False)
        stripe = f", grey: within {points(report)} points of it" if response.is_share else ""
        caption = f"{family[1]}. Mean differences inside a seed, with 95 % intervals; dashed: no difference{stripe}."
        yield Chart(drawn, caption + _more(own), finding)


def seeds(report: StudyReport, findings: Sequence[Finding], family: str) -> Iterator[Chart]:
    """The same contrasts with the difference in every seed."""
    for response, own in _by_response(report, findings):
        known = [item for item in own if item.by_seed]
        if not known:
            continue
        most = max(len(item.by_seed) for item in known)
        one_way = sum(len({value > 0 for _, value in item.by_seed}) == 1 and len(item.by_seed) > 1 for item in known)
        words = response.words[0].upper() + response.words[1:]
        finding = f"{words}, {family}: all seeds point the same way in {one_way:,} of {len(known):,} contrasts"
        drawn = _effects(report, response, known, finding, dots=True)
        caption = (
            f"A dot is the difference inside one of {most} seeds, the stroke their mean; dashed: no difference. "
            "Models of one seed share rows, first weights and order. Where there is no difference, all seeds point the "
            f"same way in one of {2 ** max(most - 1, 0):,} contrasts."
        )
        yield Chart(drawn, caption + _more(known), finding)


def undoing(report: StudyReport, findings: Sequence[Finding]) -> Iterator[Chart]:
    """Extent by treatment: the difference of differences, a panel for each response."""
    extents = list(dict.fromkeys(item.at["extent"] for item in findings))
    treatments = list(dict.fromkeys(item.at["treatment"] for item in findings))
    panels, found = [], []
    for response, own in _by_response(report, findings):
        by = {(item.at["extent"], item.at["treatment"]): item for item in own}
        grid = [[by.get((extent, name)) for name in treatments] for extent in extents]
        values = [[None if item is None or item.mean is None else item.mean * response.scale for item in line]
                  for line in grid]  # fmt: skip
        starred = [[item is not None and item.is_effect for item in line] for line in grid]
        name = f"{response.words}, {response.unit}"
        panels.append(Panel(name, values, "+.1f", starred, response.higher_is_better))
        found.append(title(report, response, own, ", undoing"))
    if panels:
        finding = ". ".join(found)
        caption = (
            "Rows are extents, columns treatments: what the treatment does there minus what it does after a plain "
            "fine-tune. White: the extent undoes nothing; red: worse, blue: better; * an effect is shown; grey: no "
            "number."
        )
        what = ("extents", "treatments")
        drawn = heat_map("", extents, [f"treatment {name}" for name in treatments], panels, what)
        yield Chart(replace(drawn, title=f"{finding}. {caption}"), caption, finding)


def _effects(
    report: StudyReport, response: StudyResponse, own: Sequence[Finding], finding: str, *, dots: bool
) -> Drawing:
    scale = response.scale
    rows = [
        Effect(
            name=item.name,
            estimate=None if item.mean is None else item.mean * scale,
            lower=None if dots or item.lower is None else item.lower * scale,
            upper=None if dots or item.upper is None else item.upper * scale,
            paint=PAINT[item.claim],
            said=short_claim(item, response),
            dots=[value * scale for _, value in item.by_seed] if dots else (),
        )
        for item in own[:MOST_DRAWN]
    ]
    delta = report.delta * scale
    bounds = (-delta, delta) if response.is_share and not dots else None
    return effects(finding, rows, unit="" if response.is_share else f" {response.unit}", bounds=bounds)


def _by_response(report: StudyReport, findings: Sequence[Finding]) -> Iterator[tuple[StudyResponse, list[Finding]]]:
    for response in report.responses:
        own = [item for item in findings if item.response == response.name]
        if own:
            yield response, own


def _more(own: Sequence[Finding]) -> str:
    left = len(own) - MOST_DRAWN
    return f" {left:,} more are not drawn; the sentences have them." if left > 0 else ""
