"""How sure a study can be: what its seeds can see, and which factor the variance belongs to."""

from __future__ import annotations

from collections.abc import Iterator

from edgefair.report.charts.studies.against import Track, against
from edgefair.report.charts.studies.effects import Effect, effects
from edgefair.report.page.parts import Block, Chart, Listing
from edgefair.report.results.study import StudyReport
from edgefair.report.study.words import EXPLORATORY, points


def power(report: StudyReport) -> Iterator[Chart]:
    """The smallest visible effect against the number of seeds."""
    if not report.visible:
        return
    seeds = len(report.seeds)
    scales = {item.response: report.response(item.response) for item in report.visible}
    tracks = [
        Track(f"{scales[item.response].words}, {item.of} spread of a contrast (sd {item.sd * 100:.1f} points): "
              f"{'no number of' if item.needed is None else f'{item.needed:,}'} seeds see {points(report)} points",
              [(float(at), 100 * effect) for at, effect in item.effects])
        for item in report.visible
    ]  # fmt: skip
    here = [
        f"{100 * effect:.1f} points of {scales[item.response].words}"
        for item in report.visible
        if item.of == "median"
        for at, effect in item.effects
        if at == seeds
    ]
    finding = f"{seeds} seeds see effects from {' and '.join(here) or 'no known size'} on"
    caption = (
        "Smallest difference that a paired t-test at 5 % finds in 80 % of studies, by their number of seeds, for the "
        "spread of the middle contrast and of the widest one; Holm's correction costs more. Dashed: what is asked."
    )
    said = (f"{points(report)} points", f"this study: {seeds}")
    axis = ("smallest visible effect, points", "seeds")
    drawn = against(f"{finding}. {caption}", tracks, axis=axis, asked=100 * report.delta, at=seeds, said=said)
    yield Chart(drawn, caption, finding)


def shares(report: StudyReport) -> Iterator[Block]:
    """Generalized eta squared of every factor and interaction, for every planned response."""
    for item in report.shares:
        response = report.response(item.response)
        words = response.words[0].upper() + response.words[1:]
        if not item.shares:
            yield Listing([f"{words}: no shares of variance: {item.why_none or 'nothing varies'}."])
            continue
        rows = [
            Effect(
                " x ".join(share.factors),
                share.share,
                None if share.limits is None else share.limits[0],
                None if share.limits is None else share.limits[1],
                "candidate",
                f"{share.share:.2f}",
                null=share.chance,
            )
            for share in item.shares
        ]
        told = ", ".join(f"{share.factors[0]} {share.share:.2f}" for share in item.shares if len(share.factors) == 1)
        finding = f"{words}: eta squared of {told}, which do not add up. {EXPLORATORY}"
        left = f" Left out of the balanced design: {'; '.join(item.left_out)}." if item.left_out else ""
        caption = (
            f"Generalized eta squared, each beside the variance of {item.seeds} seeds, with 95 % bootstrap intervals "
            f"over seeds; black stroke: what an effect of nothing has on the average.{left} Shares depend on the "
            "levels that were chosen, and the treatment's holds what balancing the labels alone does: they rank "
            "nothing."
        )
        yield Chart(effects(f"{finding} {caption}", rows, unit="", null=None), caption, finding)
