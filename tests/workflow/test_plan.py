"""What `plan` promises is what the whole verdict delivers, by audits that are drawn here."""

import numpy as np
import pytest

from edgefair.config import load_config
from edgefair.decision.decide import decide
from edgefair.decision.evidence import Evidence
from edgefair.decision.policy import Policy
from edgefair.decision.verdict import Outcome
from edgefair.measure.counts import GroupCounts
from edgefair.measure.planning import assumed_decisions, with_reference
from edgefair.workflow import plan as planning
from edgefair.workflow.measurement.design import design_of
from edgefair.workflow.planning.chances import Chances
from edgefair.workflow.planning.plan import plan
from edgefair.workflow.planning.simulated_audits import Assumed, EqualCells
from tests.attacks.judged import CONFIG, people, write_project

TWO = CONFIG.replace("[sex]", "[sex, race]").replace("  max_eo_gap: 0.1\n", "  max_eo_gap: 0.06\n")
TWO += "    race: {groups: [p, q, r]}\n"
AUDITS = 150
# Five points, and what 150 audits do not tell.
CLOSE = 0.05 + 2.5 * np.sqrt(0.2 * 0.8 / AUDITS)


def rows_of_two(count, seed=1):
    """Rows with a second attribute that depends on the first, in a single split."""
    columns = people(count)
    rng = np.random.default_rng(seed)
    rare = columns["sex"] == "f"
    race = np.where(rng.random(count) < np.where(rare, 0.5, 0.3), rng.choice(["q", "r"], count), "p")
    return columns | {"race": race}


@pytest.fixture
def planned(tmp_path, monkeypatch):
    """Plans of small projects, with few audits and a fair model alone."""
    monkeypatch.setattr(planning, "GAPS", (0.0,))
    monkeypatch.setattr(planning, "GAPS_OF_SUBJECTS", (0.0,))

    def make(config, rows, **changes):
        folder = write_project(tmp_path, config, rows)
        loaded = load_config(folder / "edgefair.yaml", {f"policy.{key}": value for key, value in changes.items()})
        return loaded, plan(loaded, simulations=AUDITS)

    return make


def audit_rows(config):
    return planning.load(config.data, base=config.base, roles=["audit"]).audit


def passed(policy, evidences):
    return np.mean([decide(item, policy).outcome is Outcome.PASS for item in evidences])


def independent(config, times, seed=9):
    """Audits of a fair model: binomial decisions of every joint cell of the rows at hand, times so many."""
    audit, rng = audit_rows(config), np.random.default_rng(seed)
    names = config.policy.base_attributes
    keys = np.stack([audit.sensitive[name].codes for name in names])
    groups, index = np.unique(keys, axis=1, return_inverse=True)
    texts = [
        tuple(audit.sensitive[name].values[code] for name, code in zip(names, key, strict=True)) for key in groups.T
    ]
    n = np.zeros((len(texts), 2), dtype=np.int64)
    np.add.at(n, (index.ravel(), audit.label), 1)
    n = np.rint(n * times).astype(np.int64)
    for _ in range(AUDITS):
        x = rng.binomial(n, [0.1, 0.8])
        yield Evidence(counts=GroupCounts(names, tuple(texts), ("no", "yes"), np.stack([n - x, x], axis=2)))


def test_the_chance_is_that_of_two_attributes_together_on_the_same_rows(planned):
    config, found = planned(TWO, rows_of_two(20_000))
    chance = found.power[0].chance
    assert 0.2 < chance < 0.95
    assert chance == pytest.approx(passed(config.policy, independent(config, 1.0)), abs=CLOSE)
    alone = [item.chance for item in found.attributes]
    assert chance <= min(alone) + 0.05
    gate = found.gates[0]
    assert (gate.gate, gate.binding.split(":")[0]) == ("eo_gap", "race")


def test_that_many_times_these_rows_pass_with_a_chance_of_80_percent(planned):
    config, found = planned(TWO, rows_of_two(9000))
    times = found.power[0].times_rows
    assert times > 1
    assert passed(config.policy, independent(config, times)) == pytest.approx(0.8, abs=CLOSE)


def test_that_many_rows_in_every_cell_pass_with_a_chance_of_80_percent(planned):
    config, found = planned(CONFIG.replace("0.1", "0.05"), people(9000))
    n = found.power[0].rows_per_cell
    assert n == pytest.approx(1160, rel=0.1)
    rng = np.random.default_rng(4)
    tables = (np.stack([n - x, x], axis=2) for x in rng.binomial(n, [[0.1, 0.8]] * 2, size=(AUDITS, 2, 2)))
    audits = (Evidence(counts=GroupCounts(("sex",), (("f",), ("m",)), ("no", "yes"), table)) for table in tables)
    assert passed(config.policy, audits) == pytest.approx(0.8, abs=CLOSE)


def test_a_strict_alpha_is_planned_with_the_exact_test(planned):
    config, found = planned(CONFIG, people(9000), alpha=0.001)
    n = found.power[0].rows_per_cell
    rng = np.random.default_rng(4)
    tables = (np.stack([n - x, x], axis=2) for x in rng.binomial(n, [[0.1, 0.8]] * 2, size=(AUDITS, 2, 2)))
    audits = (Evidence(counts=GroupCounts(("sex",), (("f",), ("m",)), ("no", "yes"), table)) for table in tables)
    assert passed(config.policy, audits) == pytest.approx(0.8, abs=CLOSE)


def test_cells_below_the_policys_least_rows_promise_nothing_and_are_asked_for(planned):
    _, found = planned(CONFIG, people(9000), min_cell_rows=5000)
    smallest = min(min(cell.rows) for cell in found.attributes[0].cells)
    assert (found.power[0].chance, found.exit_code, found.gates) == (0.0, 3, ())
    assert found.power[0].rows_per_cell >= 5000
    assert found.power[0].times_rows * smallest >= 4990
    assert len(found.attributes[0].lacking) == 4


def test_a_gate_that_the_model_cannot_pass_is_found_and_named(planned):
    _, found = planned(CONFIG, people(9000), min_balanced_accuracy=0.9)
    assert {gate.gate: gate.chance for gate in found.gates}["balanced_accuracy_floor"] == 0
    assert (found.power[0].chance, found.power[0].times_rows, found.power[0].rows_per_cell) == (0.0, None, None)


def test_gates_that_compare_with_the_model_before_compression_are_planned(planned):
    _, found = planned(CONFIG, people(9000), max_eo_increase=0.01, max_accuracy_drop=0.02)
    chances = {gate.gate: gate.chance for gate in found.gates}
    assert chances["eo_increase"] < 0.9 < chances["accuracy_drop"]
    assert found.power[0].chance <= chances["eo_increase"]


def test_rows_of_subjects_are_promised_no_more_than_they_deliver(planned):
    columns = people(9000)
    rng = np.random.default_rng(3)
    columns["who"] = np.array([f"s{number}" for number in rng.integers(0, 900, 9000)])
    config, found = planned(CONFIG.replace("  features", "  subject: who\n  features"), columns, max_eo_gap=0.09)
    assert (found.counted, found.icc) == ("subjects", 0.3)
    chance = found.power[0].chance
    assert 0.1 < chance < 0.98

    audit, classes = audit_rows(config), ("no", "yes")
    subjects = audit.subject.codes
    members = [np.flatnonzero(subjects == code) for code in np.unique(subjects)]

    def audits():
        for _ in range(AUDITS):
            drawn = [members[index] for index in rng.integers(len(members), size=len(members))]
            rows, who = np.concatenate(drawn), np.repeat(np.arange(len(drawn)), [len(part) for part in drawn])
            label = audit.label[rows]
            # Another way to the same correlation: every person has rates of their own, beta-distributed.
            own = [rng.beta(p * 0.7 / 0.3, (1 - p) * 0.7 / 0.3, len(drawn)) for p in (0.1, 0.8)]
            decision = (rng.random(len(rows)) < np.where(label == 1, own[1][who], own[0][who])).astype(np.int64)
            sensitive = {"sex": audit.sensitive["sex"].take(rows)}
            subject = type(audit.subject)(("",), who.astype(np.int32))
            design = design_of(
                config.policy,
                subject=subject,
                sensitive=sensitive,
                label=label,
                decision=decision,
                reference=None,
                classes=2,
            )
            counts = GroupCounts.from_rows(sensitive, label=label, decision=decision, classes=classes)
            yield Evidence(counts=counts, design=design)

    assert chance == pytest.approx(passed(config.policy, audits()), abs=CLOSE + 0.05)


@pytest.mark.parametrize(("groups", "expected"), [(2, 1150), (4, 1710), pytest.param(8, 2210, marks=pytest.mark.long)])
def test_rows_in_every_cell_are_those_that_the_docs_tell(groups, expected):
    policy = Policy.model_validate({"attributes": {"sex": {"groups": [f"g{index}" for index in range(groups)]}}})
    both = with_reference(assumed_decisions(0.8, 0.1, 2, 0.0), 0.0)
    chances, model = Chances(policy, np.random.default_rng(0)), Assumed(("sex", ("g0",)), both)
    size = chances.size(EqualCells(policy, ("0", "1")), model, guess=1500, least=52, most=1e6, trials=600)
    assert size == pytest.approx(expected, rel=0.12)


def test_equal_seeds_give_equal_plans(planned):
    assert planned(CONFIG, people(3000))[1] == planned(CONFIG, people(3000))[1]
