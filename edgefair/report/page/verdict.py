"""A verification as a sheet: the verdict with what decided, and below it everything that it rests on."""

from __future__ import annotations

from collections.abc import Iterator

from edgefair.decision.verdict import Outcome
from edgefair.probe.bundles.gates import ABSOLUTE
from edgefair.report.changed_rows import ChangedRows
from edgefair.report.hit import beginnings, chance_of_hit, group_hit
from edgefair.report.judged import SEALED, Status, exceptions, headline, judged
from edgefair.report.next_steps import next_steps
from edgefair.report.numbers import between, shown
from edgefair.report.page import sentences
from edgefair.report.page.parts import Block, Cell, Listing, Mark, More, Section, Sheet, Table, as_json
from edgefair.report.page.rows import changed_rows
from edgefair.report.page.target import target_sections
from edgefair.report.page.trials import trials
from edgefair.report.page.words import in_words
from edgefair.report.results.verification import Report
from edgefair.report.terminal.rows import data_line
from edgefair.report.terminal.timing import device_line


def sheet(report: Report, title: str, changed: ChangedRows | None = None) -> Sheet:
    """The whole of a verification, with rows where they are asked for."""
    several = len(report.targets) > 1
    sections = [Section("Gates", sentences.GATES, [_gates(report)])] if report.targets else []
    for target in report.targets:
        where = f" on {target.target}" if several else ""
        sections += target_sections(target, report, where)
        if changed is not None:
            sections.append(changed_rows(changed, target.target, where))
    if report.targets:
        sections += [*trials(report), *_devices(report)]
    sections += [*_use(report), *_about(report)]
    return Sheet(
        title=title,
        outcome=str(report.outcome),
        headline=headline(report),
        lead=_lead(report),
        steps=next_steps(report),
        facts=_facts(report),
        sections=sections,
        warning="" if changed is None else sentences.PEOPLE,
    )


def _lead(report: Report) -> str:
    """What decided, in words: the worst gate's comparison, or else its reason."""
    ranked = [found for target in report.targets for found in judged(target)]
    if not ranked:
        return SEALED
    worst = min(ranked, key=lambda found: (not found.blocks, found.gate.outcome is not Outcome.FAIL))
    where = f"On {worst.target.target}: " if len(report.targets) > 1 else ""
    binding = worst.gate.binding
    if binding is not None and worst.gate.id == ABSOLUTE and worst.status is not Status.VACUOUS:
        said = in_words(binding, worst.target.counts["classes"])
        if said:
            return where + said
    title, reason = (text[:1].upper() + text[1:] for text in (worst.title, worst.reason))
    return f"{where}{title}: {worst.status}, {worst.measured}. {reason}."


def _facts(report: Report) -> list[tuple[str, str]]:
    facts = [
        ("model", f"{report.model.path}, {report.model.said('{bytes} bytes, sha256 {sha256:.16}')}"),
        ("audit rows", f"{report.audit.rows:,} of {report.audit.source}"),
        ("confidence", f"{1 - report.policy['alpha']:.4g}"),
        ("judged", f"{report.created}, edgefair {report.version}"),
    ]
    departures = exceptions(report)
    if departures:
        facts.append(("exceptions that the policy asks for", "; ".join(departures)))
    if report.reference is not None and not report.model.is_same(report.reference):
        times = report.reference.times(report.model)
        size = "" if times is None else f", {times:.2f} times the size"
        facts.insert(1, ("before compression", f"{report.reference.path}{size}"))
    return facts


def _gates(report: Report) -> Table:
    rows: list[list[Cell]] = [
        [
            *([target.target] if len(report.targets) > 1 else []),
            found.title, Mark(found.status), shown(found.gate.estimate),
            between(found.gate.lower, found.gate.upper), shown(found.gate.threshold), found.gate.unit,
            found.reason,
        ]
        for target in report.targets
        for found in judged(target)
    ]  # fmt: skip
    head = ["gate", "verdict", "estimate", "limits", "threshold", "unit", "why"]
    first = 0 if len(report.targets) == 1 else 1
    numbers = frozenset(first + at for at in (2, 3, 4))
    return Table("Gates", [*(["target"] if first else []), *head], rows, numbers)


def _devices(report: Report) -> Iterator[Section]:
    rows: list[list[Cell]] = [
        [target.target, Mark(target.verdict.outcome), device_line(target.device)] for target in report.targets
    ]
    blocks: list[Block] = [Table("Targets", ["target", "verdict", "device"], rows)]
    if report.disagreements:
        pairs = [
            [
                f"{pair.first} and {pair.second}", f"{pair.differing:,} of {pair.rows:,}",
                group_hit(pair), chance_of_hit(pair),
            ]
            for pair in report.disagreements
        ]  # fmt: skip
        head = ["devices", "rows decided differently", "most in group", "p (Fisher, Holm)"]
        blocks.append(Table("Where devices disagree on the same file", head, pairs, frozenset([1])))
        if begin := beginnings(report.disagreements):
            blocks.append(Listing(begin))
    yield Section("Devices", sentences.DEVICES, blocks)


def _use(report: Report) -> Iterator[Section]:
    said = [data_line(report.data)]
    if report.ledger is not None:
        used = report.ledger
        said.append(f"verdict {used.verdicts} on these rows; models tried on them so far: {used.models}")
    if report.seal is not None:
        said.append(f"sealed rows: verdict {report.seal.verdict} on them, at level {shown(report.seal.level)}")
    said += [f"taken: {item}" for target in report.targets[:1] for item in target.verdict.assumptions]
    said += [f"exception: {item}" for item in exceptions(report)] + list(report.notes)
    yield Section(
        "What to know beside the numbers",
        sentences.BESIDE,
        [Listing(said)],
    )


def _about(report: Report) -> Iterator[Section]:
    digests = [
        ("model", report.model.sha256 or "?"),
        ("policy", report.targets[0].verdict.policy_digest if report.targets else "?"),
        ("data section", report.data.digest), ("audit rows", report.audit.fingerprint),
    ]  # fmt: skip
    yield Section(
        "How to read this, and what it rests on",
        sentences.BASIS,
        [
            More("How to read this page", [Listing(sentences.HOW_TO_READ)]),
            as_json("Policy", report.policy),
            More("Digests", [Table("SHA-256", ["of", "digest"], digests)]),
            as_json("The report as JSON", report.to_json()),
        ],
    )
