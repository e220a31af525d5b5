"""Means over levels: of the extents, and of the purity of the data."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from edgefair.report.charts.drawing import Drawing
from edgefair.report.charts.studies.means import Band, Point, Series, means
from edgefair.report.charts.studies.panels import beside
from edgefair.report.page.parts import Chart
from edgefair.report.results.study import Level, Mean, StudyReport, StudyResponse
from edgefair.report.study.words import PURITY, families, title

HOW = "Dots are means over seeds, bars 95 % intervals over seeds; hollow: a model of this level collapsed."


def extent(report: StudyReport) -> Iterator[Chart]:
    """Every planned response over the extents, a series for each treatment, on the cleanest data."""
    extents, treatments = report.factors["extent"], report.factors["treatment"]
    if len(extents) < 2:
        return
    found = [item for name, _, own in families(report) if name in {"extent", "precision"} for item in own]
    for response in report.responses:
        if not response.planned:
            continue
        series = [
            _series(f"treatment {name}", [_at(report, extent=of, treatment=name) for of in extents], response, extents)
            for name in treatments
        ]
        control = report.control
        level = None if control is None else _at(report, extent=control, treatment=treatments[0])
        yield from _chart(
            report, response, series, extents, title(report, response, found, " over extents"),
            None if level is None else (level, f"{control}, treatment {treatments[0]}: 95 % interval over seeds"),
            "Extents in the order of the plan, on the cleanest data.",
        )  # fmt: skip


def purity(report: StudyReport) -> Iterator[Chart]:
    """The planned responses over the levels of every factor of purity that varies: small multiples.

    A series for each treatment at the first extent, then one for each extent at the first treatment.
    """
    for factor in PURITY:
        levels = report.factors[factor]
        if len(levels) < 2:
            continue
        for along, held in (("extent", "treatment"), ("treatment", "extent")):
            # With one level of it, the other plot has the same line.
            if len(report.factors[along]) < 2 and along == "treatment":
                continue
            yield from _multiples(report, factor, along, held)


def _multiples(report: StudyReport, factor: str, along: str, held: str) -> Iterator[Chart]:
    levels, first = report.factors[factor], report.factors[held][0]
    # Planned slopes are at the first treatment: of the lines for treatments they are those of the first one.
    slopes = [
        item
        for name, _, own in families(report)
        if name == "slope"
        for item in own
        if factor in item.varies and (along == "extent" or (item.at[held] == first and held not in item.varies))
    ]
    caption = f"Levels of {factor} in the order of the plan, a line for each {along}, {held} {first}."
    panels, findings, nulls = [], [], []
    for response in report.responses:
        series = [
            _series(f"{along} {name}", line, response, levels)
            for name in report.factors[along]
            for line in [[_at(report, **{factor: level, along: name}) for level in levels]]
        ]
        if response.planned and any(item.points for item in series):
            findings.append(title(report, response, slopes, f" over {factor}"))
            drawn, null = _drawn(report, response, series, levels, findings[-1], None)
            panels.append(drawn)
            nulls.append(null)
    if panels:
        finding = ". ".join(findings)
        said = ", ".join(dict.fromkeys(nulls))
        yield Chart(beside(f"{finding}. {caption}", panels), f"{caption} {HOW} Dashed: {said}.", finding)


def _chart(
    report: StudyReport, response: StudyResponse, series: Sequence[Series], levels: Sequence[str], finding: str,
    control: tuple[Level, str] | None, caption: str,
) -> Iterator[Chart]:  # fmt: skip
    if any(item.points for item in series):
        drawn, null = _drawn(report, response, series, levels, f"{finding}. {caption}", control)
        yield Chart(drawn, f"{caption} {HOW} Dashed: {null}.", finding)


def _drawn(
    report: StudyReport, response: StudyResponse, series: Sequence[Series], levels: Sequence[str], finding: str,
    control: tuple[Level, str] | None,
) -> tuple[Drawing, str]:  # fmt: skip
    """The drawing, and what its null line is."""
    null, said = (0.0, "no gap") if response.of_gap else _first(report, response)
    mean = None if control is None else control[0].values.get(response.name)
    band = None
    if control is not None and mean is not None and mean.lower is not None and mean.upper is not None:
        band = Band(mean.lower * response.scale, mean.upper * response.scale, control[1])
    shown = [item for item in series if item.points]
    axis = f"{response.words}, {_unit(response)}"
    return means(finding, levels, shown, axis=axis, null=null, band=band), said


def _unit(response: StudyResponse) -> str:
    return "%" if response.is_share and not response.of_gap else response.unit


def _first(report: StudyReport, response: StudyResponse) -> tuple[float | None, str]:
    level = report.levels[0]
    mean = level.values.get(response.name)
    if mean is None:
        return None, "nothing yet, for the first condition of the plan has no number"
    return mean.value * response.scale, "the first condition of the plan"


def _at(report: StudyReport, **levels: str) -> Level | None:
    wanted = {name: own[0] for name, own in report.factors.items()} | levels
    return next((level for level in report.levels if level.factors == wanted), None)


def _series(name: str, levels: Sequence[Level | None], response: StudyResponse, names: Sequence[str]) -> Series:
    points: list[Point] = []
    last = ""
    for number, level in enumerate(levels):
        mean = None if level is None else level.values.get(response.name)
        kind = re.sub(r"[\d.]+", "", names[number])
        if level is not None and mean is not None:
            points.append(_point(number, mean, response, hollow=level.collapsed > 0, joined=kind == last))
        last = kind if mean is not None else ""
    return Series(name, points)


def _point(number: int, mean: Mean, response: StudyResponse, *, hollow: bool, joined: bool) -> Point:
    scaled = [None if value is None else value * response.scale for value in (mean.lower, mean.upper)]
    return Point(number, mean.value * response.scale, scaled[0], scaled[1], hollow, joined)
