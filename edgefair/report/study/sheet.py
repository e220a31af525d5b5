"""A study as a page: what was found, in words and plots, what of it was planned, and every level."""

from __future__ import annotations

from collections.abc import Iterator

from edgefair.report.page.parts import Block, Listing, More, Section, Sheet, Table, as_json
from edgefair.report.results.study import StudyReport
from edgefair.report.study import words
from edgefair.report.study.drawings import certainty, contrasts, levels, people

# Beyond this the page leaves the JSON to its file.
MOST_JSON = 150_000
HOW_TO_READ = (
    "Extent none is the dense network, finetune-only the same with the fine-tune alone: the control of extents. "
    "Treatment label-balance weighs the labels alone: the control of treatments that also do so.",
    "A condition is a level of every factor; it is run once with every seed. A contrast is taken inside each seed "
    "first, whose models share rows, first weights and order, and only then looked at over seeds.",
    "+- is half of a 95 % interval over seeds, not adjusted. An effect is claimed where p holds after Holm's "
    "correction over all contrasts and responses of its family, and, from 8 seeds on, in the sign-flip check too.",
    "'No effect larger than x' is shown by two one-sided tests. 'No claim' means that these seeds show neither: not "
    "that there is no effect.",
    "A model that finds nobody has a small gap: such cells are collapsed, and contrasts of a gap leave them out and "
    "count them.",
    "More seeds say more of training by chance, and nothing of the audit rows: the interval over rows stays.",
    "What no contrast of the plan asks is exploratory: it was looked at after the run, among many other things, and "
    "is a candidate for fresh seeds.",
    "A study is about its data, networks and recipes, on the devices named above.",
)


def sheet(report: StudyReport, title: str) -> Sheet:
    """The page of one study."""
    return Sheet(
        title=title,
        outcome="",
        headline=words.headline(report),
        lead=words.lead(report),
        steps=words.steps(report),
        facts=_facts(report),
        sections=[section for section in _sections(report) if section.blocks],
    )


def _facts(report: StudyReport) -> tuple[tuple[str, str], ...]:
    cells = [f"{report.done:,} done", f"{report.failed:,} failed", f"{report.not_run:,} not run",
             f"{report.collapsed:,} collapsed"]  # fmt: skip
    return (
        ("cells", f"{report.cells:,}: {', '.join(cells)}"),
        ("seeds", f"{len(report.seeds)}: {', '.join(map(str, report.seeds))}"),
        ("plan", report.plan),
        *report.setting.items(),
    )


def _sections(report: StudyReport) -> Iterator[Section]:
    by = {name: (question, own) for name, question, own in words.families(report)}

    def forests(*names: str) -> list[Block]:
        return [block for name in names if name in by
                for block in contrasts.forest(report, by[name][1], (name, by[name][0]))]  # fmt: skip

    own = [name for name in by if name not in words.FAMILIES]
    yield Section("Findings", _said(report), list(_findings(report)))
    yield Section(
        "Extent of compression", "What each extent does, and what the fine-tune alone, its control, does.",
        [*levels.extent(report), *forests("extent", "precision")],
    )  # fmt: skip
    yield Section(
        "Purity of the data", "What noise, size and skew of the training rows do; audit rows are never touched.",
        [*levels.purity(report), *forests("slope")],
    )  # fmt: skip
    yield Section(
        "Treatment, and what compression leaves of it",
        "Each treatment against none and against the balance of labels alone, and whether an extent undoes it.",
        [*forests("treatment"), *contrasts.undoing(report, by["undoing"][1] if "undoing" in by else ()),
         *forests("undoing")],
    )  # fmt: skip
    yield Section("Contrasts of the plan's own", "What its author asked before the run.", forests(*own))
    yield Section("What was published", report.published_by, [*_published(report)])
    yield Section(
        "Whom it happens to", "Groups by name, on the cleanest data.",
        [*people.levelling(report), *people.flips(report), *people.pareto(report)],
    )  # fmt: skip
    seeds: list[Block] = [block for name, (_, found) in by.items() for block in contrasts.seeds(report, found, name)]
    yield Section(
        "How sure this is", "What so many seeds can see, what each of them says, and which floors more do not lower.",
        [*certainty.power(report), *forests("null"), *_floors(report), *certainty.shares(report),
         *([More(f"The difference in every seed: {len(seeds)} plots", seeds)] if seeds else [])],
    )  # fmt: skip
    yield Section("Every level", "All conditions of the plan: none is left out for what it shows.", [_table(report)])
    yield Section(
        "What was planned", "Factors, seeds, responses and contrasts were fixed before the run; the digest of the plan "
        "is of all of them. Everything else is exploratory.", list(_planned(report)),
    )  # fmt: skip
    content = report.to_json()
    text = as_json("The report as JSON", content)
    small = len(str(content)) <= MOST_JSON
    yield Section(
        "How to read this", "For somebody who has never seen a study.",
        [Listing(HOW_TO_READ), *([text] if small else [])],
    )  # fmt: skip


def _said(report: StudyReport) -> str:
    if not report.complete:
        return "What the cells say that have run so far. Nothing is claimed before all of them have."
    if not report.can_claim:
        return "Estimates with their intervals. So few seeds carry no claim, however clear they look."
    return "Every planned contrast in a sentence: effects first, then what is shown to be small, then the rest."


def _findings(report: StudyReport) -> Iterator[Block]:
    """Effects, and for whoever opens it what is small and what is not shown, in tables that say it once."""
    for _, question, own in words.families(report):
        by = {claim: [item.sentence for item in own if item.claim == claim] for claim in words.CLAIMS}
        shown = by["effect"] + by["small effect"]
        yield Listing(shown or [f"No contrast of these {len(own):,} carries the claim of an effect."], question)
        for said, head, rows in words.unclaimed(report, own):
            yield More(said, [Table(f"{question}. {said}", list(head), [[*row] for row in rows], frozenset({2, 3, 4}))])


def _published(report: StudyReport) -> Iterator[Block]:
    if report.published:
        caption = "Untreated means, percent and points, with half of the 95 % intervals over seeds of this study"
        yield Table(caption, list(words.PUBLISHED), [[*row] for row in words.published(report)], frozenset({2, 3}))


def _floors(report: StudyReport) -> Iterator[Block]:
    if report.floors:
        factors = {level.condition: level.factors for level in report.levels}
        rows = [
            [words.condition(report, factors[item.condition], purity=False), f"{100 * item.value:.1f}",
             *(f"{100 * low:.1f} to {100 * high:.1f}" for low, high in limits)]
            for item in report.floors
            for limits in [(item.over_seeds, item.over_rows, item.over_both)]
        ]  # fmt: skip
        head = ["condition", "gap, points", "other seeds", "other audit rows", "both"]
        caption = "Gaps on the cleanest data, with 95 % bootstrap intervals: more seeds lower the first alone"
        yield More(f"The floors of {len(rows):,} gaps", [Table(caption, head, rows, frozenset(range(1, 5)))])


def _table(report: StudyReport) -> Block:
    shown = [item for item in report.responses if any(item.name in level.values for level in report.levels)]
    factors = [name for name, own in report.factors.items() if len(own) > 1]
    head = [*factors, "done", "failed", "not run", "collapsed", *(f"{item.words}, {item.unit}" for item in shown)]
    rows = [
        [*(level.factors[name] for name in factors),
         *map(str, (level.done, level.failed, level.not_run, level.collapsed)),
         *(words.mean(level, item) for item in shown)]
        for level in report.levels
    ]  # fmt: skip
    caption = "Means over seeds with half of their 95 % intervals; collapsed cells are in them"
    numbers = frozenset(range(len(factors), len(head)))
    return More(f"{len(rows):,} conditions", [Table(caption, head, rows, numbers)])


def _planned(report: StudyReport) -> Iterator[Block]:
    rows = [[name, ", ".join(own)] for name, own in report.factors.items()]
    caption = "Factors and their levels; the first is the one that other factors are looked at"
    yield Table(caption, ["factor", "levels"], rows)
    yield Table("Families of contrasts; each is corrected over its contrasts and all planned responses",
                ["family", "contrasts", "what they ask"], [
        [name, str(len({item.name for item in own})), question] for name, question, own in words.families(report)
    ], frozenset({1}))  # fmt: skip
    planned = ", ".join(item.words for item in report.responses if item.planned)
    said = [f"planned responses: {planned}", f"digest of the plan: {report.plan}", *report.notes]
    yield Listing([text[0].upper() + text[1:] for text in said])
    if report.failures:
        failed = [[item.cell, item.error] for item in report.failures]
        yield More(f"{len(failed):,} cells failed", [Table("Cells that failed, and why", ["cell", "error"], failed)])
