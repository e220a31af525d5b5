"""Query times that are too few, too short or impossible: no PASS of a latency gate."""

import json

import numpy as np
import pytest

from tests.attacks.judged import gate, linear, report, run, write_project
from tests.targets.quiet import quiet

BUDGET = ("--max-latency-p90", "5")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A project with a record of an honest measurement."""
    folder = write_project(tmp_path_factory.mktemp("latency"))
    model = linear(folder / "m.onnx")
    with quiet():
        code, judged = report("verify", folder, model, *BUDGET, "--record", folder / "raw.npz")
    assert (code, gate(judged, "latency p90")["outcome"]) == (0, "PASS")
    return folder


def forged(recorded, tmp_path, **times):
    """The record with other query times."""
    with np.load(recorded / "raw.npz") as content:
        arrays = {name: content[name] for name in content.files}
    facts = json.loads(str(arrays["facts"]))
    facts["targets"][0]["times"] = list(times)
    arrays = {name: array for name, array in arrays.items() if "/times/" not in name}
    arrays |= {f"0/times/{name}": np.asarray(taken) for name, taken in times.items()}
    np.savez(tmp_path / "forged.npz", **{**arrays, "facts": np.array(json.dumps(facts))})
    return tmp_path / "forged.npz"


@pytest.mark.parametrize(
    ("times", "why"),
    [
        (np.ones(64, dtype=np.int64), "64 queries that took 6.4e-08 s, and the profile requires 1,024 and 1 s"),
        (np.full(1023, 10**6), "1,023 queries that took 1.02 s"),
        (np.full(4096, 10**3), "4,096 queries that took 0.0041 s"),
        (np.full(900, 10**8), "900 queries in the 60 s that the profile allows"),
    ],
)
def test_fewer_or_shorter_queries_than_the_profile_asks_for_are_inconclusive(recorded, tmp_path, times, why):
    code, judged = report("verify", recorded, "--from-record", forged(recorded, tmp_path, candidate=times), *BUDGET)
    assert (code, gate(judged, "latency p90")["outcome"]) == (3, "INCONCLUSIVE")
    assert why in gate(judged, "latency p90")["reason"]


@pytest.mark.parametrize(
    "times",
    [
        {"candidate": np.full(2000, -(10**6))},
        {"candidate": np.zeros(2000, dtype=np.int64)},
        {"candidate": np.full(2000, 1e6)},
        {"candidate": np.full((2000, 1), 10**6)},
        {"candidate": np.full(2000, 10**6), "reference": np.full(1999, 10**6)},
        {"reference": np.full(2000, 10**6)},
        {},
    ],
)
def test_impossible_times_are_no_record(recorded, tmp_path, times):
    done = run("verify", recorded, "--from-record", forged(recorded, tmp_path, **times), *BUDGET)
    assert (done.exit_code, "is not a record" in done.stderr) == (2, True)


def test_a_device_that_stops_early_has_no_latency_that_passes(recorded, quiet_device, monkeypatch):
    from edgefair.targets.client import Probe

    honest = Probe.latency
    monkeypatch.setattr(Probe, "latency", lambda *args, **kw: {name: t[:64] for name, t in honest(*args, **kw).items()})
    code, judged = report("verify", recorded, recorded / "m.onnx", *BUDGET)
    assert (code, gate(judged, "latency p90")["outcome"]) == (3, "INCONCLUSIVE")
