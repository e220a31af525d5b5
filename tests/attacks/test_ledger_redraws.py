"""Drawing the split again until an unfair model passes: every try on the same people is counted."""

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from tests.attacks.judged import CONFIG, linear, report, run, spec, write_project

ROWS = 6_000


@pytest.fixture
def project(tmp_path):
    """A model that finds more men than women who deserve nothing: its gap is beyond the threshold."""
    rng = np.random.default_rng(11)
    sex, label = rng.choice(["f", "m"], ROWS), rng.choice(["no", "yes"], ROWS)
    a = np.where(label == "yes", 1.0, -1.0) + rng.normal(0, 0.75, ROWS)
    a = np.where((sex == "m") & (label == "no") & (rng.random(ROWS) < 0.058), 1.5, a)
    columns = {"a": a, "b": rng.normal(size=ROWS), "sex": sex, "label": label, "id": np.arange(ROWS).astype(str)}
    config = CONFIG.replace("[a, b, c]", "[a, b]").replace("max_eo_gap: 0.1", "max_eo_gap: 0.05")
    write_project(tmp_path, config, columns)
    linear(tmp_path / "m.onnx", (2.0, 0.0), said=spec(columns=2))
    return tmp_path


def verdict(project, *settings):
    flags = [item for setting in settings for item in ("--set", setting)]
    code, found = report("verify", project, project / "m.onnx", "--no-latency", *flags)
    assert code in {0, 1, 3}
    return found


@pytest.mark.parametrize("share", [0.5, 0.2])
def test_a_split_that_is_drawn_again_is_counted_with_those_before(project, share):
    seen = set()
    for tries in range(1, 7):
        report = verdict(project, f"data.split.seed={tries}", f"data.split.audit_fraction={share}")
        seen.add(report["audit"]["fingerprint"])
        chance = pytest.approx(min(1.0, 0.05 * tries))
        assert report["ledger"] == {"verdicts": tries, "models": 1, "tries": tries, "chance": chance}
    assert len(seen) == 6, "to the digest these are six audit sets"


def test_an_audit_set_that_was_cut_is_counted_with_the_whole_one(project):
    assert verdict(project)["ledger"]["verdicts"] == 1
    table = pyarrow.parquet.read_table(project / "people.parquet")
    pyarrow.parquet.write_table(table.slice(0, ROWS - 5), project / "people.parquet")
    assert verdict(project)["ledger"]["verdicts"] == 2
    record = project / "raw.npz"
    run("verify", project, project / "m.onnx", "--no-latency", "--record", record)
    _, found = report("verify", project, "--from-record", record)
    assert found["ledger"]["verdicts"] == 4, "a record knows its rows too"


def test_other_people_are_a_fresh_audit_set(project):
    assert verdict(project)["ledger"]["verdicts"] == 1
    table = pyarrow.parquet.read_table(project / "people.parquet")
    others = table.set_column(4, "id", pyarrow.array([f"other {row}" for row in range(ROWS)]))
    pyarrow.parquet.write_table(others, project / "people.parquet")
    assert verdict(project)["ledger"]["verdicts"] == 1
