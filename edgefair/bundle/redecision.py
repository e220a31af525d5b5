"""Is the verdict in a report the one that its own evidence and policy give?"""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from edgefair.bundle.beside import TOLERANCE, close, compare_notes, compare_numbers, compare_shown, contradiction
from edgefair.decision.decide import check_waivers, decide
from edgefair.decision.evidence import Evidence
from edgefair.decision.policy import Policy
from edgefair.decision.spending import sealed_level
from edgefair.decision.stopping import may_stop
from edgefair.decision.verdict import EARLIER_SCHEMA, Outcome, Verdict, worst
from edgefair.errors import EdgefairError, ModelError, PolicyError
from edgefair.files import sha256_json
from edgefair.measure.counts import GroupCounts
from edgefair.measure.footprint import worst_of
from edgefair.measure.pooled import slowest_of
from edgefair.measure.sequential.levels import levels
from edgefair.measure.sequential.looks import Looks
from edgefair.probe.bundles.consistency import ContradictionError, policy_digest, seal_number
from edgefair.probe.bundles.gates import gate_id, name_of
from edgefair.targets.sections import Budgets

NUMBERS = ("estimate", "lower", "upper", "threshold")
EXACT = ("estimate", "threshold")


def check_decision(report: Mapping[str, Any], *, today: datetime.date) -> None:
    """Decide again, from the counts and all other evidence of every target, on the day of the report.

    Args:
        today: the day on which its waivers must still hold.

    Raises:
        ModelError: no report that can be decided again, or one whose verdict is another.
        PolicyError: a waiver has run out since.
    """
    try:
        policy = Policy.model_validate(report["policy"])
        day = datetime.datetime.fromisoformat(report["created"]).date()
        _check_data(report["data"])
        found = [_decided(report, target, policy, day) for target in report["targets"]]
        verdicts = [verdict for verdict, _ in found]
        for target, (verdict, evidence) in zip(report["targets"], found, strict=True):
            _compare(str(target["target"]), target["verdict"], verdict, policy_digest(report["policy"]))
            compare_shown(target, evidence, policy)
        compare_notes(report, [evidence for _, evidence in found])
        _compare_release(report, verdicts)
        check_waivers(policy, today)
    except (ModelError, PolicyError):
        raise
    except (
        EdgefairError,
        ContradictionError,
        ValidationError,
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
    ) as error:
        raise ModelError(
            f"its report cannot be decided again: {str(error).splitlines()[0]}",
            expected="a report of this version of edgefair with complete evidence",
            fix="export it again",
        ) from error


def _check_data(data: Mapping[str, Any]) -> None:
    if sha256_json(data["section"]) != data["sha256"]:
        raise contradiction("the digest of its data section differs", sha256_json(data["section"]))


def _decided(
    report: Mapping[str, Any], target: Mapping[str, Any], policy: Policy, day: datetime.date
) -> tuple[Verdict, Evidence]:
    """The verdict that a target's evidence gives, and that evidence."""
    counts = GroupCounts.from_json(target["counts"])
    looks = None if target.get("looks") is None else Looks.from_json(target["looks"])
    rows = report["audit"]["rows"] if looks is None else looks.rows
    evidence = Evidence.from_json(counts, target["evidence"])
    designed = report["data"]["section"].get("label_design") is not None
    if designed != (evidence.strata is not None):
        raise contradiction(
            f"the evidence of target '{target['target']}' holds {'no ' * designed}strata of a label design",
            f"{'some' if designed else 'none'}, as data.label_design of its data section says",
        )
    measured = counts.n if evidence.strata is None else evidence.strata.total
    if measured != rows:
        raise contradiction(f"the counts of target '{target['target']}' hold {measured:,} rows", f"{rows:,} audit rows")
    if evidence.pool:
        _check_pool(evidence, target["target"], rows)
    if looks is not None:
        _check_looks(looks, report, target, policy, evidence)
    for name, said, rests_on in (
        ("size", report["model"]["bytes"], evidence.size_bytes),
        ("latency", target["latency"], target["evidence"]["latency"]),
    ):
        if said != rests_on:
            raise contradiction(f"the {name} of target '{target['target']}' is {said}", f"{rests_on}, as its evidence")
    said = None if report["reference"] is None else report["reference"]["sha256"]
    same = said is not None and said == report["model"]["sha256"]
    if evidence.own_reference != same:
        raise contradiction(
            f"target '{target['target']}' was judged as {'un' * evidence.own_reference}compressed",
            f"a reference that {'is' if evidence.own_reference else 'is not'} the model's own file",
        )
    audited = evidence.audited
    if audited is not None and (report["reference"] is None or audited.model != report["reference"]["sha256"]):
        raise contradiction(
            f"target '{target['target']}' was judged with the audit of the reference {audited.model[:16]}",
            f"an audit of {'no model' if report['reference'] is None else report['reference']['sha256'][:16]}",
        )
    budgets = Budgets.model_validate(target["budgets"])
    look = None if looks is None else levels(policy.alpha)[looks.taken - 1]
    verdict = decide(
        evidence,
        policy,
        budget=budgets,
        today=day,
        targets=len(report["targets"]),
        level=_sealed_level(report, policy) if look is None else look.passing,
        fail_level=None if look is None else look.failing,
    )
    if looks is not None and not looks.last and not may_stop(verdict):
        raise contradiction(
            f"target '{target['target']}' was left at look {looks.taken}", "looks that go on until its verdict is shown"
        )
    return verdict, evidence


def _check_pool(evidence: Evidence, name: str, rows: int) -> None:
    """The devices of a pool decided all rows, each once, and what is said of them together is the worst."""
    if sum(item.rows for item in evidence.pool) != rows:
        raise contradiction(f"the devices of target '{name}' did not decide all rows", f"{rows:,} rows")
    if evidence.latency not in slowest_of([item.latency for item in evidence.pool]):
        raise contradiction(f"the latency of target '{name}' is not that of its slowest device", "the slowest's")
    if evidence.footprint not in {None, worst_of([item.footprint for item in evidence.pool if item.footprint])}:
        raise contradiction(f"loading and memory of target '{name}' are not those of its devices", "the worst's")


def _sealed_level(report: Mapping[str, Any], policy: Policy) -> float | None:
    """What a verdict on sealed rows may spend, by its number; None where the rows are not sealed."""
    seal = report.get("seal")
    if policy.audit == "open":
        if seal is not None:
            raise contradiction("it has a seal", "none: its policy's audit is open")
        return None
    if seal is None:
        raise contradiction("it has no seal", "one: its policy's audit is sealed")
    level = sealed_level(policy.alpha, seal_number(seal))
    if level is None or seal["level"] != level:
        raise contradiction(f"the level of its seal is {seal['level']}", f"{level}")
    return level


def _check_looks(
    looks: Looks, report: Mapping[str, Any], target: Mapping[str, Any], policy: Policy, evidence: Evidence
) -> None:
    """The looks are those that are planned for these rows, and what has no limits over several looks has none."""
    design, name, rows = evidence.design, target["target"], report["audit"]["rows"]
    mistake = looks.mistake(policy.alpha, subjects=design is not None)
    if mistake is not None:
        raise contradiction(f"target '{name}' has {mistake}", "the looks that are planned")
    if looks.rows_at_hand != rows:
        raise contradiction(f"target '{name}' had {looks.rows_at_hand:,} rows at hand", f"{rows:,} audit rows")
    by_rows = design is not None and policy.subject_weights == "rows"
    chosen = evidence.strata is not None or evidence.audited is not None or policy.errors.audited is not None
    if chosen or policy.rule == "point" or by_rows or policy.audit == "sealed" or report.get("seal") is not None:
        raise contradiction(f"target '{name}' was judged sequentially", "limits that hold over several looks")


def _compare(name: str, said: Mapping[str, Any], decided: Verdict, digest: str) -> None:
    """Every gate, and what follows from them.

    Args:
        digest: of the policy as the report holds it: a later version of edgefair may know more keys.
    """
    found = {**decided.to_json(), "policy_digest": digest}
    earlier = said.get("schema") == EARLIER_SCHEMA
    if earlier and said["outcome"] != found["outcome"]:
        raise ModelError(
            f"its verdict on target '{name}' is {said['outcome']} by earlier rules and {found['outcome']} by today's",
            expected="a verdict that today's rules give too (docs/verdict.md)",
            fix="export it again",
        )
    for key in ("outcome", "exit_code", "alpha", "policy_digest", "exceptions"):
        expected = list(found[key]) if key == "exceptions" else found[key]
        if said[key] != expected:
            raise contradiction(f"the {key} of target '{name}' is {said[key]}", f"{expected}")
    # Reports of before do not say it.
    if list(said.get("assumptions", found["assumptions"])) != list(found["assumptions"]):
        raise contradiction(
            f"target '{name}' is said to assume '{'; '.join(said['assumptions'])}'",
            f"'{'; '.join(found['assumptions'])}'",
        )
    gates, again = ({gate_id(gate): gate for gate in part} for part in (said["gates"], found["gates"]))
    if list(gates) != list(again):
        judged, asked = (", ".join(map(name_of, part)) for part in (gates, again))
        raise contradiction(f"target '{name}' was judged by {judged}", f"the gates {asked}")
    for gate, other in zip(gates.values(), again.values(), strict=True):
        exact = EXACT if earlier else NUMBERS
        same = gate["outcome"] == other["outcome"] and all(close(gate[key], other[key]) for key in exact)
        if not same or (earlier and not _narrower(gate, other)):
            raise contradiction(f"target '{name}': {_gate(gate)}", _gate(other))
    if not earlier:
        compare_numbers(name, said, found)


def _narrower(gate: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether the limits hold the estimate, and today's hold them."""
    limits = [[part[key] for key in ("lower", "upper")] for part in (gate, other)]
    if None in (*limits[0], *limits[1]):
        return limits[0] == limits[1]
    steps = [limits[1][0], limits[0][0], gate["estimate"], limits[0][1], limits[1][1]]
    return all(one <= next_one + TOLERANCE for one, next_one in itertools.pairwise(steps))


def _compare_release(report: Mapping[str, Any], verdicts: list[Verdict]) -> None:
    """The worst target's verdict is the release's."""
    codes = {verdict.exit_code for verdict in verdicts}
    outcome = worst(verdict.outcome for verdict in verdicts)
    code = 1 if 1 in codes else max(codes, default=3)
    if (report["outcome"], report["exit_code"]) != (outcome, code):
        raise contradiction(
            f"the report says {report['outcome']} (exit code {report['exit_code']})", f"{outcome} ({code})"
        )


def _gate(gate: Mapping[str, Any]) -> str:
    return f"{gate['name']} {Outcome(gate['outcome'])} at " + ", ".join(f"{key} {gate[key]}" for key in NUMBERS)
