"""Models that run in a process of their own: what must be done there, and what must not be said of here."""

import numpy as np

from edgefair.probe.clock import latency
from edgefair.probe.runtimes.base import RemoteSession
from edgefair.probe.runtimes.models import Loaded

RULES = {"warmup": 2, "min_queries": 10, "min_seconds": 0.0, "max_seconds": 60.0}


class Far:
    """A session whose process has a clock of its own, on which the third query of all takes a second."""

    def __init__(self, asked, name):
        self.asked, self.name = asked, name

    def run(self, names, inputs):
        return [np.zeros(len(inputs["x"]))]

    def run_alone(self, names, inputs):
        return [inputs["x"][:, 0] + 1.0]

    def query_times(self, queries, pool):
        start = len(self.asked)
        self.asked += [(session.name, names, int(pool["x"][row, 0])) for session, names, row in queries]
        return [10**9 if start + at == 2 else 1000 + start + at for at in range(len(queries))]


def far_models():
    asked = []
    return asked, {name: Loaded(Far(asked, name), "0", 1, row_by_row=False) for name in "ab"}


def test_queries_are_timed_by_the_clock_of_the_process_that_answers_them_in_turns():
    asked, models = far_models()
    assert latency.is_elsewhere(models)
    pool = {"x": np.array([[5.0], [6.0], [7.0]])}
    times = latency.measure(models, pool, {"a": ["y"], "b": ["z"]}, **RULES)
    assert [len(taken) for taken in times.values()] == [10, 10]
    assert times["b"].max() == 10**9, "the third query of all is the first of the second round, which runs backwards"
    assert [name for name, *_ in asked[:8]] == list("abbaabba")[:8]
    assert [row for *_, row in asked[:8]] == [5, 5, 6, 6, 7, 7, 5, 5]
    assert {(name, *names) for name, names, _ in asked} == {("a", "y"), ("b", "z")}


def test_measuring_goes_on_until_the_queries_themselves_have_taken_long_enough(monkeypatch):
    monkeypatch.setattr(latency, "GO_S", 0.0)
    _, models = far_models()
    rules = {**RULES, "min_queries": 1, "min_seconds": 0.5}
    times = latency.measure(models, {"x": np.ones((3, 1))}, {"a": ["y"], "b": ["y"]}, **rules)
    assert sum(taken.sum() for taken in times.values()) >= 2 * 0.5e9
    assert len(times["a"]) == 2, "the second that one query took was enough for both"


def test_rows_are_run_one_by_one_where_the_model_is():
    model = Loaded(Far([], "a"), "0", 1, row_by_row=True)
    assert isinstance(model.session, RemoteSession)
    assert model.run({"x": np.array([[1.0], [2.0]])}, ["y"])["y"].tolist() == [2.0, 3.0]
    assert model.run({"x": np.ones((3, 1))}, ["y"], one_by_one=True)["y"].tolist() == [2.0] * 3
