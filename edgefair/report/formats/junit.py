"""JUnit XML, which CI systems of every kind show: a suite a target, a case a gate.

Written to the strictest reader's schema, Jenkins' junit-10.xsd (jenkinsci/xunit-plugin): properties belong to suites,
and a case has a name, a class, and what went wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TextIO
from xml.etree import ElementTree

from edgefair.report.escape import one_line
from edgefair.report.formats.base import Item
from edgefair.report.judged import NOT_SHOWN, SEALED, Judged, Status, exceptions, judged
from edgefair.report.numbers import plain
from edgefair.report.results.failure import Failure
from edgefair.report.results.verification import Report, TargetResult

SUITE = "edgefair"


class JUnit:
    """What is not green is a `<failure>`, of the type that it is; a measurement that failed an `<error>`.

    Nothing is ever `<skipped>`: a gate that could not be judged has shown nothing.
    """

    def write(self, items: Sequence[Item], stream: TextIO) -> None:
        """Write the document."""
        suites = [suite for item in items for suite in _suites(item)]
        root = ElementTree.Element("testsuites", {"name": SUITE, **_sums(suites)})
        root.extend(suites)
        ElementTree.indent(root, " ")
        stream.write('<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n")


def _suites(item: Item) -> Iterator[ElementTree.Element]:
    if isinstance(item.result, Failure):
        yield _failed(item, item.result)
        return
    if not item.report.targets:
        yield _sealed(item, item.report)
    for target in item.report.targets:
        yield _suite(item, item.report, target)


def _suite(item: Item, report: Report, target: TargetResult) -> ElementTree.Element:
    name = one_line(item.named(target.target))
    cases = [_case(name, gate) for gate in judged(target)]
    suite = ElementTree.Element("testsuite", {"name": name, **_counted(cases), "timestamp": one_line(report.created)})
    properties = ElementTree.SubElement(suite, "properties")
    for key, value in _properties(report, target):
        ElementTree.SubElement(properties, "property", name=key, value=one_line(str(value)))
    suite.extend(cases)
    said = [*exceptions(report), *report.notes]
    if said:
        ElementTree.SubElement(suite, "system-out").text = "\n".join(map(one_line, said))
    return suite


def _case(suite: str, gate: Judged) -> ElementTree.Element:
    case = ElementTree.Element("testcase", classname=f"{SUITE}.{suite}", name=gate.title)
    if gate.status is not Status.PASS:
        message = one_line(f"{gate.title} {gate.measured}")
        ElementTree.SubElement(case, "failure", type=gate.status.lower(), message=message).text = one_line(gate.reason)
    return case


def _sealed(item: Item, report: Report) -> ElementTree.Element:
    name = one_line(item.named(NOT_SHOWN))
    case = ElementTree.Element("testcase", classname=SUITE, name=NOT_SHOWN)
    failure = ElementTree.SubElement(case, "failure", type=report.outcome.lower(), message=SEALED)
    failure.text = "\n".join(map(one_line, report.notes))
    suite = ElementTree.Element("testsuite", {"name": name, **_counted([case]), "timestamp": one_line(report.created)})
    suite.append(case)
    return suite


def _failed(item: Item, failure: Failure) -> ElementTree.Element:
    name = one_line(item.named("no verdict"))
    case = ElementTree.Element("testcase", classname=SUITE, name="measurement" if failure.exit_code == 4 else "request")
    error = ElementTree.SubElement(case, "error", type=one_line(failure.kind), message=one_line(failure.found))
    error.text = "\n".join(map(one_line, failure.lines))
    suite = ElementTree.Element("testsuite", {"name": name, **_counted([case])})
    suite.append(case)
    return suite


def _properties(report: Report, target: TargetResult) -> Iterator[tuple[str, object]]:
    """Numbers that were measured, and what they are of; what was not measured is absent."""
    facts: dict[str, object] = {
        "outcome": target.verdict.outcome,
        "exit_code": target.verdict.exit_code,
        "model": report.model.path,
        "model.sha256": report.model.sha256,
        "model.bytes": report.model.bytes,
        "audit.source": report.audit.source,
        "audit.rows": report.audit.rows,
        "audit.fingerprint": report.audit.fingerprint,
        "policy.sha256": target.verdict.policy_digest,
        "alpha": target.verdict.alpha,
    }
    yield from ((name, value) for name, value in facts.items() if value is not None)
    numbers: dict[str, float | None] = {"accuracy": target.verdict.accuracy}
    for gate in target.verdict.gates:
        of = {"estimate": gate.estimate, "lower": gate.lower, "upper": gate.upper, "threshold": gate.threshold}
        numbers |= {f"{one_line(gate.id)}.{name}": value for name, value in of.items()}
    numbers |= {f"gap of {one_line(item.attribute)}": item.gap for item in target.verdict.attributes}
    yield from ((name, plain(value)) for name, value in numbers.items() if value is not None)


def _counted(cases: Sequence[ElementTree.Element]) -> dict[str, str]:
    def having(tag: str) -> str:
        return str(sum(case.find(tag) is not None for case in cases))

    return {"tests": str(len(cases)), "failures": having("failure"), "errors": having("error")}


def _sums(suites: Sequence[ElementTree.Element]) -> dict[str, str]:
    return {key: str(sum(int(suite.attrib[key]) for suite in suites)) for key in ("tests", "failures", "errors")}
