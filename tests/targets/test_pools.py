"""Devices of one class that share the rows: the counts of one device, and nothing lost with one that is killed."""

import itertools
import os
import signal

import numpy as np
import pytest

from edgefair.errors import MeasurementError, UsageError
from edgefair.probe.device import fingerprint
from edgefair.targets import Probe, load_profile, open_target, transport_of
from edgefair.targets.connection import LostError
from edgefair.targets.pools.sharing import Hand, Shared
from edgefair.targets.transports.local import LocalTransport
from edgefair.workflow.measurement.devices.alike import check_alike
from tests.targets.onnx_models import SPEC, batches, classifier
from tests.targets.pools import kill, opened, pool_of, started  # noqa: F401 - a fixture
from tests.targets.scripted import PROFILE, lying
from tests.workflow.small_project import project


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return classifier(tmp_path_factory.mktemp("model") / "m.onnx")


def decisions(answers):
    return np.concatenate([answer["decision"] for answer in answers])


def test_two_devices_answer_in_the_order_of_the_rows_and_a_killed_one_loses_none(tmp_path, model, started):  # noqa: F811
    x, parts = batches(4000, 10)
    expected = (x @ np.array([1.0, 0.5]) < 0).astype(np.int64)
    with open_target(load_profile(pool_of(tmp_path, "a", "b"))) as pool:
        loaded = pool.load(model, name="m")

        def killing():
            for number, part in enumerate(parts):
                if number == 150:
                    kill(started["b"])
                yield part

        by, found = [], []
        for answer in pool.run(loaded, killing(), ["decision"]):
            by.append(pool.answered_by)
            found.append(answer)
        assert np.array_equal(decisions(found), expected)
        assert set(by) == {"a", "b"}, "both were at work before"
        assert set(by[160:]) == {"a"}
        (a, b) = pool.members
        assert (a.lost, "killed by SIGKILL" in b.lost.found) == (None, True)
        assert np.array_equal(decisions(pool.run(loaded, iter(parts), ["decision"])), expected), "it goes on alone"
        kill(started["a"])
        with pytest.raises(MeasurementError, match=r"all of its devices were lost: target 'b': .* target 'a': ") as why:
            list(pool.run(loaded, iter(parts), ["decision"]))
        assert why.value.exit_code == 4
        with pytest.raises(MeasurementError, match="all of its devices were lost"):
            list(pool.run(loaded, iter(parts), ["decision"]))


def test_what_the_rows_raise_is_raised_and_not_taken_for_a_lost_device(tmp_path, model):
    def broken():
        yield from batches(40, 10)[1]
        raise KeyError("no such picture")

    with open_target(load_profile(pool_of(tmp_path, "a", "b"))) as pool:
        loaded = pool.load(model, name="m")
        with pytest.raises(KeyError, match="no such picture"):
            list(pool.run(loaded, broken(), ["decision"]))


def never(*_):
    raise AssertionError("nobody hangs")


def test_what_a_hung_device_holds_is_decided_by_the_others(tmp_path, model, started, monkeypatch):  # noqa: F811
    monkeypatch.setattr("edgefair.targets.pools.sharing.LEAST_SILENT_S", 2.0)
    x, parts = batches(4000, 10)
    with open_target(load_profile(pool_of(tmp_path, "a", "b"))) as pool:
        loaded = pool.load(model, name="m")
        by, found = [], []

        def stopping():
            for number, part in enumerate(parts):
                if number == 150:
                    os.kill(started["b"].pid, signal.SIGSTOP)
                yield part

        for answer in pool.run(loaded, stopping(), ["decision"]):
            by.append(pool.answered_by)
            found.append(answer)
        assert np.array_equal(decisions(found), (x @ np.array([1.0, 0.5]) < 0).astype(np.int64))
        assert set(by) == {"a", "b"}, "both were at work before"
        (a, b) = pool.members
        assert a.lost is None
        assert isinstance(b.lost, LostError)
        assert "'b': no answer for" in b.lost.found, "and not the 600 s after which any silent device is lost"


def test_a_device_is_hung_only_by_its_own_measure_and_only_beside_one_that_is_not(monkeypatch):
    told, now = [], [100.0]
    monkeypatch.setattr("edgefair.targets.pools.sharing.time.monotonic", lambda: now[0])
    shared = Shared(({"x": np.array([number])} for number in range(9)), lambda name, _: told.append(name))
    hands = {name: Hand(shared, name) for name in ("quick", "slow", "new")}

    def after(seconds):
        now[0] += seconds
        shared._look_for_hung()
        return told

    for hand in hands.values():
        next(hand)
    now[0] += 1
    shared.answered(hands["quick"], {})
    now[0] += 9
    shared.answered(hands["slow"], {})
    next(hands["quick"])
    next(hands["slow"])
    assert after(59) == []
    assert after(2) == ["quick"], "60 s at least, 20 times its slowest batch"
    assert after(130) == ["quick"], "10 s were usual for the slow one"
    assert after(20) == ["quick", "slow"], "the new one, whose first batch may take long, is none that hangs"
    assert after(100) == ["quick", "slow"], "each is told of once"


def test_batches_of_a_dropped_hand_go_to_others_once_and_before_new_ones():
    shared = Shared(({"x": np.array([number])} for number in range(6)), never)
    lost, other = Hand(shared, "lost"), Hand(shared, "other")
    taken = [int(batch["x"][0]) for batch in itertools.islice(lost, 3)]
    shared.answered(lost, {"y": np.array([0])})
    shared.dropped(lost)
    assert (taken, list(lost)) == ([0, 1, 2], [])
    for batch in other:
        shared.answered(other, {"y": batch["x"]})
    assert not shared.wait_for_work()
    answers = iter(shared.next_answer, None)
    assert [(by, int(found["y"][0])) for by, found in answers] == [("lost", 0), *(("other", n) for n in range(1, 6))]


def named(name):
    profile = PROFILE.model_copy(update={"name": name})
    return Probe(profile, LocalTransport(profile), timeout_s=60)


def liar(path, *lies):
    """A device of this class that tells lies."""
    return lying(path, [("hello", "device", repr(fingerprint())), *lies])


SENT = "max([len(sent) for sent in frame[1].values()], default=0)"
ALL_NO = (
    ("run", "decision", f"np.zeros({SENT}, dtype=np.int64)"),
    ("run", "score", f"np.full(({SENT}, 2), 0.5, dtype=np.float32)"),
)


def test_devices_that_decide_otherwise_than_each_other_are_refused_with_the_rows(tmp_path, model):
    _, data = project(tmp_path)
    with opened(named("a"), liar(model, *ALL_NO)) as pool:
        loaded = pool.load(model, name="m")
        with pytest.raises(
            MeasurementError, match=r"'a' and 'local' answer \d+ of 100 rows differently: row 0, "
        ) as why:
            check_alike(pool, loaded, data.audit, SPEC, np.arange(100))
        assert why.value.exit_code == 4


def test_an_answer_that_cannot_be_is_never_taken_for_a_loss(tmp_path, model):
    wrong = ("run", "inputs", "'0'")
    with opened(named("a"), liar(model, *ALL_NO, wrong)) as pool:
        loaded = pool.load(model, name="m")
        with pytest.raises(MeasurementError, match="ran different inputs than it was sent") as why:
            list(pool.run(loaded, iter(batches(4000, 10)[1]), ["decision", "score"]))
        assert not isinstance(why.value, LostError)


def test_devices_of_different_classes_are_refused_with_what_differs(tmp_path, model):
    other = fingerprint() | {"onnxruntime": "1.0.0"}
    with (
        pytest.raises(MeasurementError, match=r"'onnxruntime' of 'a' is .*, of 'local' 1\.0\.0") as why,
        opened(named("a"), liar(model, ("hello", "device", repr(other)))),
    ):
        pass
    assert why.value.exit_code == 4


def test_a_device_that_is_not_there_is_an_error_before_anything_is_measured(tmp_path):
    path = pool_of(tmp_path, "a") + f",{tmp_path / 'far.yaml'}"
    (tmp_path / "far.yaml").write_text(
        "name: far\ntransport: ssh\nssh: {host: 127.0.0.1, port: 9, python: /none}\n"
        "latency: {min_seconds: 0.2, max_seconds: 20, min_queries: 2000}\n"
    )
    with pytest.raises(MeasurementError, match="target 'far'"), open_target(load_profile(path)):
        pass


BAD = {
    "pool:": r"a pool with the members \[\]",
    "pool:local": r"a pool with the members \['local'\]",
    "pool:local,local": "has a member twice: 'local' and 'local'",
    "pool:ssh://a,ssh://pi@A": "has a member twice: 'ssh://a' and 'ssh://pi@A'",
    "pool:local,pool:a": "its member 'pool:a' is a pool itself",
    "pool:local,nowhere": "unknown target 'nowhere'",
    "pool:local,x86-vnni": "of different classes: `device` of 'local'",
    "pool:local,tensorrt": "of different classes",
}


@pytest.mark.parametrize("name", BAD)
def test_a_pool_that_is_none_is_refused(name):
    with pytest.raises(UsageError, match=BAD[name]):
        load_profile(name)


def test_a_pool_may_be_a_profile_of_its_own_which_says_no_more_than_its_members_and_budgets(tmp_path):
    pool_of(tmp_path, "a", "b")
    path, listed = tmp_path / "boards.yaml", f"[{tmp_path / 'a.yaml'}, {tmp_path / 'b.yaml'}]"
    path.write_text(f"name: boards\ntransport: pool\npool: {listed}\nbudgets: {{max_load_ms: 5}}\n")
    found = load_profile(str(path))
    assert (found.name, found.latency.min_queries, found.budgets.max_load_ms) == ("boards", 2000, 5)
    assert transport_of(found).lacks() is None
    path.write_text(f"name: boards\ntransport: pool\npool: {listed}\nthreads: 4\n")
    with pytest.raises(UsageError, match="a pool with key 'threads'"):
        load_profile(str(path))
    path.write_text(f"name: boards\ntransport: pool\npool: [local, {path}]\n")
    with pytest.raises(UsageError, match="is a pool itself"):
        load_profile(str(path))
