"""Which nodes go back to float, on costs and harms that are known."""

from hypothesis import given
from hypothesis import strategies as st

from edgefair.compress.search.float_nodes import Ranked, _least, cheaper, fewest, fitting, harm_of, names

NODES = "abcdefgh"
PAIRS = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 9)), min_size=1, max_size=len(NODES))


def ranking(pairs):
    """From (harm, cost) pairs: the nodes, most harm first, and the cost of a set of them over 10."""
    added = dict(zip(NODES, (cost for _, cost in pairs), strict=False))
    ranked = [Ranked(node, float(harm)) for node, (harm, _) in zip(NODES, pairs, strict=False)]
    return sorted(ranked, key=lambda item: -item.harm), lambda nodes: 10 + sum(added[node] for node in nodes)


class Judge:
    """Sets that take enough harm away are harmless."""

    def __init__(self, ranked, enough):
        self.harm = {item.node: item.harm for item in ranked}
        self.enough = enough
        self.asked = []
        self.kept = []

    def __call__(self, nodes):
        self.asked.append(nodes)
        if sum(self.harm[node] for node in nodes) < self.enough:
            return False
        self.kept.append(nodes)
        return True


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40))
def test_the_shortest_kept_prefix_is_found_from_any_guess(least, guess, most):
    guess = min(guess, most)
    found = _least(lambda count: count >= least, guess, most)
    assert found == (least if least <= most else None)


@given(PAIRS, st.integers(0, 90))
def test_what_fits_costs_less_and_takes_at_least_half_of_the_harm_that_any_set_could(pairs, below):
    ranked, cost = ranking(pairs)
    fits = fitting(ranked, cost, below)
    assert not fits or cost(names(fits)) < below
    sets = [[ranked[bit] for bit in range(len(ranked)) if mask >> bit & 1] for mask in range(1 << len(ranked))]
    best = max((harm_of(found) for found in sets if cost(names(found)) < below), default=0)
    assert 2 * harm_of(fits) >= best


@given(PAIRS, st.data())
def test_the_longest_prefix_that_fits_never_takes_more_harm_than_what_fits(pairs, data):
    ranked, cost = ranking(pairs)
    below = data.draw(st.integers(10, 90))
    prefixes = [ranked[:count] for count in range(len(ranked) + 1) if cost(names(ranked[:count])) < below]
    assert harm_of(fitting(ranked, cost, below)) >= max(map(harm_of, prefixes), default=0)


def test_where_as_much_as_fits_does_harm_one_trial_is_enough():
    ranked, cost = ranking([(30, 9), (20, 3), (10, 2), (1, 1)])
    judge = Judge(ranked, 45)
    cheaper(ranked, judge, cost, cost(("a", "b")))
    assert judge.asked == [("a", "c")], "'b' does not fit beside 'a', nor 'd' beside 'c'"
    assert not judge.kept


def test_less_than_can_be_won_by_a_fiftieth_of_the_cost_is_not_worth_a_trial():
    ranked, _ = ranking([(30, 1), (20, 1)])
    judge = Judge(ranked, 20)
    cheaper(ranked, judge, lambda nodes: 1000 + len(nodes), 1002)
    assert not judge.asked


def test_cheap_nodes_take_the_place_of_a_costly_one():
    ranked, cost = ranking([(30, 9), (20, 2), (15, 2), (0, 1)])
    judge = Judge(ranked, 30)
    found = fewest(ranked, judge, cost)
    assert found == ("a",)
    cheaper(ranked, judge, cost, cost(found), 30)
    assert min(judge.kept, key=cost) == ("b", "c")


def test_what_takes_less_harm_away_than_was_enough_is_not_tried():
    ranked, cost = ranking([(30, 9), (12, 2), (10, 2)])
    judge = Judge(ranked, 0)
    cheaper(ranked, judge, cost, cost(("a",)), 30)
    assert not judge.asked


def test_of_nodes_that_can_be_spared_the_costly_one_goes_first():
    """Two of the first three may be left out, but not both; with the harm alone to go by the cheap one was."""
    ranked, cost = ranking([(40, 9), (39, 1), (1, 1), (1, 1), (1, 1)])
    needed = lambda nodes: ("e" in nodes) and (("a" in nodes) or ("b" in nodes))  # noqa: E731
    assert "b" in fewest(ranked, needed, cost)
    assert "a" not in fewest(ranked, needed, cost)
