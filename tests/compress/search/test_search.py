"""The repair's search, on benches whose answers are known."""

import zlib
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefair.compress.search.choice import Choice
from edgefair.compress.search.float_nodes import Ranked
from edgefair.compress.search.search import Moves, Trial, repair

NODES = tuple("abcdefgh")
START = Choice(None, "plain")
ALL_MOVES = frozenset(
    ("seven-bit", "bias", "calibration", "operating-point", "float", "prune", "last-layer", "threshold")
)
PRECISION = Moves(frozenset({"float"}), (), 60)


@dataclass
class Bench:
    """Every gate is kept where `keeps` says so; a node in float costs 1, and so does what pruning leaves."""

    keeps: object
    harmless: object = None
    saturate: tuple = ()
    ranked: tuple = NODES
    harm: dict = field(default_factory=dict)
    reference: bool = False
    judged: list = field(default_factory=list)
    changed: dict = field(default_factory=dict)

    def judge(self, choice):
        self.judged.append(choice)
        kept = self.keeps(choice)
        harmless = kept if self.harmless is None else self.harmless(choice)
        return Trial(
            choice,
            kept,
            harmless,
            0.0 if kept else 1.0 / (1 + len(choice.float_nodes)),
            self.cost(choice),
            {},
            changed=self.changed.get(choice.calibration),
        )

    def cost(self, choice):
        return len(choice.float_nodes) + 10 * (1 - (choice.prune or 0))

    def nodes(self, choice):
        return [Ranked(node, self.harm.get(node, 0.0)) for node in self.ranked]

    def is_reference(self, choice):
        return self.reference

    def saturating(self, choice):
        return self.saturate


def found(bench, moves=PRECISION, start=START, lowered=True, reference_passes=True):
    return repair(start, moves, bench, lowered=lowered, reference_passes=reference_passes)


def test_a_recipe_that_keeps_every_gate_is_judged_once_and_left_alone():
    bench = Bench(lambda choice: True)
    assert found(bench).chosen.choice == START
    assert len(bench.judged) == 1


LADDER = Moves(ALL_MOVES, (), 60, ladder=("careful", "most careful"))


@pytest.mark.parametrize(
    ("keeps", "changed", "judged", "chosen"),
    [
        ({"plain"}, {"plain": 0.01}, 1, "plain"),
        ({"plain", "careful"}, {"plain": 0.05, "careful": 0.0}, 2, "careful"),
        (
            {"plain", "careful", "most careful"},
            {"plain": 0.04, "careful": 0.03, "most careful": 0.02},
            3,
            "most careful",
        ),
        ({"plain", "most careful"}, {"plain": 0.02, "careful": 0.0, "most careful": 0.03}, 3, "plain"),
        ({"most careful"}, {"plain": 0.0}, 3, "most careful"),
    ],
)
def test_the_first_rung_that_keeps_every_gate_and_changes_few_decisions_is_taken_else_the_best(
    keeps, changed, judged, chosen
):
    bench = Bench(lambda choice: choice.calibration in keeps, changed=changed)
    result = found(bench, LADDER)
    assert result.chosen.choice == replace(START, calibration=chosen)
    assert len(bench.judged) == judged
    if chosen != "plain":
        assert "more careful" in result.ended


def test_where_no_rung_keeps_every_gate_nodes_go_back_to_float_from_the_closest_and_without_a_reference_none_is_tried():
    bench = Bench(lambda choice: "a" in choice.float_nodes)
    assert found(bench, LADDER).chosen.choice.float_nodes == ("a",)
    failing = Bench(lambda choice: False)
    found(failing, replace(LADDER, allowed=frozenset()), reference_passes=False)
    assert failing.judged == [START]


@given(st.sets(st.sampled_from(NODES), min_size=1))
def test_exactly_the_harmful_nodes_go_back_to_float(harmful):
    result = found(Bench(lambda choice: harmful <= set(choice.float_nodes)))
    assert result.chosen.kept
    assert set(result.chosen.choice.float_nodes) == harmful


@given(st.integers(1, len(NODES)))
def test_a_ranking_that_is_right_needs_a_logarithm_of_trials_and_one_for_each_node_in_float(harmful):
    bench = Bench(lambda choice: set(NODES[:harmful]) <= set(choice.float_nodes))
    found(bench)
    assert len(bench.judged) <= 2 + 4 + 2 + harmful


def test_where_a_ranking_is_wrong_what_can_be_spared_goes_in_strides():
    nodes = tuple(f"n{index:02d}" for index in range(64))
    bench = Bench(lambda choice: {"n00", "n63"} <= set(choice.float_nodes), ranked=nodes)
    result = found(bench)
    assert set(result.chosen.choice.float_nodes) == {"n00", "n63"}
    assert len(bench.judged) <= 2 + 7 + 5 + 12


@given(st.integers(1, 32), st.integers(1, 32))
def test_where_the_harm_is_known_few_trials_are_enough(many, few):
    nodes = tuple(f"n{index:02d}" for index in range(64))
    bench = Bench(
        lambda choice: set(nodes[:many]) <= set(choice.float_nodes),
        ranked=nodes,
        harm=dict.fromkeys(nodes[:many], 1.0) | dict.fromkeys(nodes[many : many + few], 0.01),
        reference=True,
    )
    result = found(bench)
    assert result.chosen.choice.float_nodes == nodes[:many]
    assert not any(choice.float_nodes == nodes for choice in bench.judged)
    assert len(bench.judged) <= 1 + 2 + 2 * (many * 3 // 10).bit_length() + 1 + 2


def test_a_number_that_the_ranking_foretold_is_confirmed_in_two_trials():
    bench = Bench(
        lambda choice: {"a", "b", "c"} <= set(choice.float_nodes),
        harm={"a": 1.0, "b": 0.9, "c": 0.8, "d": 0.5, "e": 0.4},
        reference=True,
    )
    result = found(bench)
    assert set(result.chosen.choice.float_nodes) == {"a", "b", "c"}
    assert len(bench.judged) == 3


def test_no_choice_is_judged_twice():
    bench = Bench(lambda choice: {"c", "f"} <= set(choice.float_nodes))
    found(bench, Moves(ALL_MOVES, ("entropy",), 60))
    assert len(bench.judged) == len(set(bench.judged))


def test_a_move_that_costs_no_time_is_preferred_to_float():
    keeps = lambda choice: choice.calibration == "entropy" or len(choice.float_nodes) >= 1  # noqa: E731
    result = found(Bench(keeps), Moves(ALL_MOVES, ("percentile", "entropy"), 60))
    assert result.chosen.choice.calibration == "entropy"
    assert not result.chosen.choice.float_nodes


def test_seven_bits_go_to_the_saturating_nodes_only():
    bench = Bench(lambda choice: "b" in choice.seven_bit + choice.float_nodes, saturate=("b",))
    result = found(bench, Moves(ALL_MOVES, (), 60))
    assert result.chosen.choice.seven_bit == ("b",)


def test_where_int8_is_not_to_blame_no_node_is_tried_and_less_is_pruned():
    bench = Bench(lambda choice: choice.prune <= 0.4)
    result = found(bench, Moves(ALL_MOVES, ("entropy",), 60), Choice(0.8, "plain"))
    assert result.chosen.choice == Choice(0.4, "plain")
    assert {choice.float_nodes for choice in bench.judged} <= {(), NODES}
    assert all(choice.calibration == "plain" for choice in bench.judged)


def test_pruning_alone_is_repaired_by_pruning_less():
    result = found(
        Bench(lambda choice: choice.prune <= 0.6), Moves(ALL_MOVES, (), 60), Choice(0.8, "plain"), lowered=False
    )
    assert result.chosen.choice.prune == pytest.approx(0.6)


@pytest.mark.parametrize(("most", "chosen"), [(0.5, 0.5), (0.49, 0.4), (0.31, 0.3), (0.2, 0.2)])
def test_the_last_step_of_pruning_less_is_halved_once(most, chosen):
    bench = Bench(lambda choice: choice.prune <= most)
    result = found(bench, Moves(ALL_MOVES, (), 60), Choice(0.8, "plain"), lowered=False)
    assert result.chosen.choice.prune == pytest.approx(chosen)
    assert f"pruning {chosen:g} instead of 0.8" in result.ended


def test_a_ratio_that_leaves_as_much_as_the_one_that_keeps_is_not_tried():
    @dataclass
    class Coarse(Bench):
        def cost(self, choice):
            return 10 if choice.prune < 0.8 else 2

    bench = Coarse(lambda choice: choice.prune <= 0.6)
    result = found(bench, Moves(ALL_MOVES, (), 60), Choice(0.8, "plain"), lowered=False)
    assert [choice.prune for choice in bench.judged] == pytest.approx([0.8, 0.8, 0.6])
    assert result.chosen.choice.prune == pytest.approx(0.6)


def test_what_was_kept_is_chosen_where_the_budget_ends_in_the_last_step():
    bench = Bench(lambda choice: choice.prune <= 0.4)
    result = found(bench, Moves(ALL_MOVES, (), 4), Choice(0.8, "plain"), lowered=False)
    assert result.chosen.choice.prune == pytest.approx(0.4)


def test_what_the_reference_does_not_keep_is_not_asked_of_its_compression():
    bench = Bench(lambda choice: False)
    result = found(bench, PRECISION, reference_passes=False)
    assert not result.chosen.kept
    assert "stronger debiasing" in result.ended
    assert len(bench.judged) == 1


def test_another_threshold_is_tried_before_anything_that_costs_time_and_goes_with_what_is_needed_beside_it():
    alone = found(Bench(lambda choice: choice.post == ("threshold",)), Moves(ALL_MOVES, (), 60)).chosen.choice
    assert (alone.post, alone.float_nodes) == (("threshold",), ())
    pruned = Bench(lambda choice: choice.post == ("threshold",))
    result = found(pruned, Moves(ALL_MOVES, (), 60), Choice(0.8, "plain"), lowered=False)
    assert (result.chosen.choice.prune, len(pruned.judged)) == (0.8, 2)
    assert "another threshold" in result.ended
    forbidden = found(
        Bench(lambda choice: bool(choice.post)),
        Moves(ALL_MOVES - {"operating-point", "threshold", "last-layer"}, (), 60),
    )
    assert not forbidden.chosen.kept


def test_a_treatment_of_the_file_is_tried_where_it_is_allowed():
    result = found(Bench(lambda choice: "threshold" in choice.post), Moves(ALL_MOVES, (), 60), reference_passes=False)
    assert result.chosen.choice.post == ("threshold",)


def test_a_model_that_is_too_large_in_float_still_shows_that_int8_is_to_blame():
    harmless = lambda choice: "a" in choice.float_nodes  # noqa: E731
    keeps = lambda choice: harmless(choice) and len(choice.float_nodes) < 3  # noqa: E731
    assert found(Bench(keeps, harmless)).chosen.choice.float_nodes == ("a",)


@dataclass
class Halved(Bench):
    """7-bit weights in b halve the shortfall; b in float costs as much as all other nodes."""

    def judge(self, choice):
        trial = super().judge(choice)
        return replace(trial, shortfall=trial.shortfall / 2) if "b" in choice.seven_bit else trial

    def cost(self, choice):
        return super().cost(choice) + (6 if "b" in choice.float_nodes else 0)


def test_a_node_in_float_is_not_said_to_have_seven_bits_too():
    def keeps(choice):
        return set("ab") <= set(choice.float_nodes) or (
            "b" in choice.seven_bit and set("acd") <= set(choice.float_nodes)
        )

    bench = Halved(keeps, saturate=("a", "b"), harm={"a": 2.0, "b": 2.0, "c": 0.1, "d": 0.1}, reference=True)
    result = found(bench, Moves(frozenset({"float", "seven-bit"}), (), 60))
    assert result.chosen.choice == Choice(None, "plain", seven_bit=("b",), float_nodes=tuple("acd"))
    assert not any(set(choice.float_nodes) & {*choice.seven_bit, *choice.unsigned} for choice in bench.judged)


def test_nodes_in_float_that_keep_are_told_of_where_fewer_are_harmless_and_too_slow():
    harmless = lambda choice: "a" in choice.float_nodes  # noqa: E731
    keeps = lambda choice: choice.float_nodes == ("a", "b", "c")  # noqa: E731
    result = found(Bench(keeps, harmless, harm={"a": 1.0, "b": 1.0, "c": 1.0}, reference=True))
    assert ("a",) in {choice.choice.float_nodes for choice in result.trials if choice.harmless}
    assert result.chosen.choice.float_nodes == ("a", "b", "c")
    assert "went back to float" in result.ended


@given(st.integers(1, 12))
def test_the_budget_ends_the_search_with_the_least_shortfall(trials):
    bench = Bench(lambda choice: False, harmless=lambda choice: len(choice.float_nodes) >= 7)
    result = found(bench, Moves(frozenset({"float"}), (), trials))
    assert len(bench.judged) <= trials
    assert not result.chosen.kept
    assert result.chosen.shortfall == min(trial.shortfall for trial in result.trials)


def test_where_float_is_not_allowed_a_model_in_float_only_shows_what_is_to_blame():
    bench = Bench(lambda choice: len(choice.float_nodes) == len(NODES))
    result = found(bench, Moves(frozenset({"bias"}), (), 60))
    assert result.chosen.choice == START
    assert not result.chosen.kept


@dataclass
class Adding:
    """Harm adds up as it is ranked; every gate is kept where what is left, scaled by the free moves, is little enough.

    A node costs 2 in INT8, and what is drawn more in float.
    """

    harm: dict
    added: dict
    most: float
    scale: dict
    judged: list = field(default_factory=list)

    def judge(self, choice):
        self.judged.append(choice)
        left = sum(harm for node, harm in self.harm.items() if node not in choice.float_nodes)
        left *= self.scale[choice.calibration] * (self.scale["bias"] if choice.correct_bias else 1)
        return Trial(choice, left <= self.most, left <= self.most, max(left - self.most, 0), self.cost(choice), {})

    def cost(self, choice):
        return 2 * len(self.harm) + sum(self.added[node] for node in choice.float_nodes)

    def nodes(self, choice):
        return [Ranked(node, harm) for node, harm in sorted(self.harm.items(), key=lambda item: -item[1])]

    def is_reference(self, choice):
        return True

    def saturating(self, choice):
        return ()


@st.composite
def adding(draw):
    nodes = NODES[: draw(st.integers(1, len(NODES)))]
    harm = {node: draw(st.integers(0, 40)) for node in nodes}
    scale = {name: draw(st.sampled_from([0.5, 0.8, 1.0, 1.2])) for name in ("bias", "entropy", "percentile")}
    added = {node: draw(st.integers(1, 4)) for node in nodes}
    return Adding(harm, added, draw(st.integers(1, 60)), scale | {"plain": 1.0})


FREE = Moves(frozenset({"bias", "calibration", "float"}), ("entropy", "percentile"), 200)


def after_the_free_moves(bench):
    """The recipe with every move that costs no time and makes the shortfall smaller."""
    best = START
    for change in ({"correct_bias": True}, {"calibration": "entropy"}, {"calibration": "percentile"}):
        if bench.judge(replace(best, **change)).shortfall < bench.judge(best).shortfall:
            best = replace(best, **change)
    return best


@given(adding())
def test_it_costs_no_more_than_float_alone_nor_than_float_on_top_of_the_free_moves(bench):
    result = found(bench, FREE)
    assert result.chosen.kept
    assert len({replace(item, float_nodes=frozenset(item.float_nodes)) for item in bench.judged}) == len(bench.judged)
    assert result.chosen.cost <= found(bench, PRECISION).chosen.cost
    assert result.chosen.cost <= found(bench, PRECISION, after_the_free_moves(bench)).chosen.cost


@given(st.integers(0, 10_000), st.integers(1, 40), st.sampled_from([None, 0.8]), st.booleans())
def test_whatever_is_kept_the_budget_holds_nothing_is_judged_twice_or_at_no_gain(seed, trials, prune, reference):
    """Gates are kept at random: no law helps the search."""
    keeps = lambda choice: zlib.crc32(f"{seed} {choice}".encode()) % 5 == 0  # noqa: E731
    harm = {node: float(zlib.crc32(f"{seed} {node}".encode()) % 9) for node in NODES}
    ranked = tuple(sorted(NODES, key=lambda node: -harm[node]))
    bench = Bench(keeps, ranked=ranked, harm=harm, reference=reference and prune is None)
    result = found(bench, Moves(ALL_MOVES, ("entropy",), trials), Choice(prune, "plain"))
    assert len(bench.judged) == len(result.trials) <= trials
    assert len({replace(item, float_nodes=frozenset(item.float_nodes)) for item in bench.judged}) == len(bench.judged)
    assert result.chosen.kept == any(trial.kept for trial in result.trials)
    kept = []
    for trial in result.trials:
        assert all(trial.cost < cost for cost in kept)
        kept += [trial.cost] if trial.kept else []
    assert not kept or result.chosen.cost == min(kept)


def test_the_free_moves_are_left_again_where_the_recipe_needs_cheaper_nodes_in_float():
    """On top of the bias the costly node 'a' is the one that does harm; without it, the cheap 'b' and 'c' do."""

    @dataclass
    class Costly(Bench):
        def cost(self, choice):
            return 100 + sum(20 if node == "a" else 2 for node in choice.float_nodes)

        def judge(self, choice):
            trial = super().judge(choice)
            return replace(trial, shortfall=trial.shortfall / 2) if choice.correct_bias else trial

    needed = lambda choice: {"a"} if choice.correct_bias else {"b", "c"}  # noqa: E731
    bench = Costly(lambda choice: needed(choice) <= set(choice.float_nodes), harm={"b": 1.0, "c": 0.9}, reference=True)
    bench.ranked = ("b", "c", "a", "d", "e", "f", "g", "h")
    result = found(bench, Moves(frozenset({"bias", "float"}), (), 60))
    assert result.chosen.choice == replace(START, float_nodes=("b", "c"))
    assert len(bench.judged) == 1 + 1 + 2 + 1, "the recipe, the bias, two and one nodes, and what fits with the bias"
