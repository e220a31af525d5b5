"""The repair's search, on benches whose answers are known."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefair.compress.search import Choice, Moves, Ranked, Trial, _least, repair

NODES = tuple("abcdefgh")
START = Choice(None, "plain")
ALL_MOVES = frozenset(("seven-bit", "bias", "calibration", "float", "prune", "last-layer", "threshold"))
PRECISION = Moves(frozenset({"float"}), (), 60)


@dataclass
class Bench:
    """Every gate is kept where `keeps` says so; a node in float costs 1, and so does what pruning leaves."""

    keeps: object
    harmless: object = None
    saturate: tuple = ()
    ranked: tuple = NODES
    harm: dict = field(default_factory=dict)
    dense: bool = False
    judged: list = field(default_factory=list)

    def judge(self, choice):
        self.judged.append(choice)
        kept = self.keeps(choice)
        cost = len(choice.float_nodes) + 10 * (1 - (choice.prune or 0))
        harmless = kept if self.harmless is None else self.harmless(choice)
        return Trial(choice, kept, harmless, 0.0 if kept else 1.0 / (1 + len(choice.float_nodes)), cost, {})

    def nodes(self, choice):
        return [Ranked(node, self.harm.get(node, 0.0)) for node in self.ranked]

    def is_dense(self, choice):
        return self.dense

    def saturating(self, choice):
        return self.saturate


def found(bench, moves=PRECISION, start=START, kind="static", dense_keeps=True):
    return repair(start, moves, bench, kind=kind, dense_keeps=dense_keeps)


def test_a_recipe_that_keeps_every_gate_is_judged_once_and_left_alone():
    bench = Bench(lambda choice: True)
    assert found(bench).chosen.choice == START
    assert len(bench.judged) == 1


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
        dense=True,
    )
    result = found(bench)
    assert result.chosen.choice.float_nodes == nodes[:many]
    assert not any(choice.float_nodes == nodes for choice in bench.judged)
    assert len(bench.judged) <= 1 + 2 + 2 * (many * 3 // 10).bit_length() + 1 + 2


def test_a_number_that_the_ranking_foretold_is_confirmed_in_two_trials():
    bench = Bench(
        lambda choice: {"a", "b", "c"} <= set(choice.float_nodes),
        harm={"a": 1.0, "b": 0.9, "c": 0.8, "d": 0.5, "e": 0.4},
        dense=True,
    )
    result = found(bench)
    assert set(result.chosen.choice.float_nodes) == {"a", "b", "c"}
    assert len(bench.judged) == 3


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40))
def test_the_shortest_kept_prefix_is_found_from_any_guess(least, guess, most):
    guess = min(guess, most)
    found = _least(lambda count: count >= least, guess, most)
    assert found == (least if least <= most else None)


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
    result = found(Bench(lambda choice: choice.prune <= 0.6), Moves(ALL_MOVES, (), 60), Choice(0.8, "plain"), kind=None)
    assert result.chosen.choice.prune == pytest.approx(0.6)


@pytest.mark.parametrize(("most", "chosen"), [(0.5, 0.5), (0.49, 0.4), (0.31, 0.3), (0.2, 0.2)])
def test_the_last_step_of_pruning_less_is_halved_once(most, chosen):
    bench = Bench(lambda choice: choice.prune <= most)
    result = found(bench, Moves(ALL_MOVES, (), 60), Choice(0.8, "plain"), kind=None)
    assert result.chosen.choice.prune == pytest.approx(chosen)
    assert f"pruning {chosen:g} instead of 0.8" in result.ended


def test_what_was_kept_is_chosen_where_the_budget_ends_in_the_last_step():
    bench = Bench(lambda choice: choice.prune <= 0.4)
    result = found(bench, Moves(ALL_MOVES, (), 3), Choice(0.8, "plain"), kind=None)
    assert result.chosen.choice.prune == pytest.approx(0.4)


def test_what_the_dense_model_does_not_keep_is_not_asked_of_its_compression():
    bench = Bench(lambda choice: False)
    result = found(bench, PRECISION, dense_keeps=False)
    assert not result.chosen.kept
    assert "debias it" in result.ended
    assert len(bench.judged) == 1


def test_a_treatment_of_the_file_is_tried_where_it_is_allowed():
    result = found(Bench(lambda choice: "threshold" in choice.post), Moves(ALL_MOVES, (), 60), dense_keeps=False)
    assert result.chosen.choice.post == ("threshold",)


def test_a_model_that_is_too_large_in_float_still_shows_that_int8_is_to_blame():
    harmless = lambda choice: "a" in choice.float_nodes  # noqa: E731
    keeps = lambda choice: harmless(choice) and len(choice.float_nodes) < 3  # noqa: E731
    assert found(Bench(keeps, harmless)).chosen.choice.float_nodes == ("a",)


@given(st.integers(1, 12))
def test_the_budget_ends_the_search_with_the_least_shortfall(trials):
    bench = Bench(lambda choice: False, harmless=lambda choice: len(choice.float_nodes) >= 7)
    result = found(bench, Moves(frozenset({"float"}), (), trials))
    assert len(bench.judged) <= trials
    assert not result.chosen.kept
    assert result.chosen.shortfall == min(trial.shortfall for trial in result.trials)
