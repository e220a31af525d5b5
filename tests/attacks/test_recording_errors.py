"""A gap that is hidden because groups are recorded wrongly: it is shown, or blocked, once that is declared."""

import datetime
import json

import numpy as np
import pytest

from edgefair.bundle.redecision import check_decision
from edgefair.errors import ModelError
from tests.attacks.judged import linear, people, report, run, write_project
from tests.bundle.small_bundle import COUNTS, POLICY, report_on

TODAY = datetime.date(2026, 11, 1)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A model that finds 14 points fewer of the women, in rows of which a fifth has the other sex on record."""
    rows, rng = people(60_000), np.random.default_rng(1)
    overlooked = (rows["sex"] == "f") & (rng.random(len(rows["sex"])) < 0.155) & (rows["label"] == "yes")
    rows["a"] = np.where(overlooked, np.float32(-1), rows["a"])
    wrong = rng.random(len(rows["sex"])) < 0.2
    rows["sex"] = np.where(wrong, np.where(rows["sex"] == "f", "m", "f"), rows["sex"])
    return write_project(tmp_path_factory.mktemp("recorded"), rows=rows)


def test_a_gap_that_wrong_records_hide_is_not_passed_once_they_are_declared(project):
    model = linear(project / "m.onnx")
    code, blind = report("verify", project, model, "--no-latency")
    assert code == 0
    assert "taken as true" in blind["targets"][0]["verdict"]["assumptions"][0]
    code, told = report("verify", project, model, "--no-latency", "--set", "policy.errors.attributes.sex=0.22")
    assert code in {1, 3}
    gap = told["targets"][0]["verdict"]["gates"][0]
    assert gap["binding"]["corrected_threshold"] == pytest.approx(0.1 * 0.56)
    assert gap["upper"] > 0.14
    shown = run("verify", project, model, "--no-latency", "--set", "policy.errors.attributes.sex=0.22").output
    assert "at most 0.22 of the rows of a group are of another (declared)" in " ".join(shown.split())


def test_error_rates_that_leave_nothing_are_refused_before_anything_is_measured(project):
    done = run("verify", project, project / "missing.onnx", "--set", "policy.errors.labels=0.2")
    assert done.exit_code == 2
    assert "leave nothing of the threshold" in " ".join(done.output.split())


def test_a_report_that_is_made_to_assume_something_else_is_refused():
    policy = POLICY.model_validate({**POLICY.model_dump(), "errors": {"attributes": {"sex": 0.02}}})
    honest = json.dumps(report_on(COUNTS, policy))
    check_decision(json.loads(honest), today=TODAY)
    forged = json.loads(honest)
    forged["targets"][0]["verdict"]["assumptions"] = ["labels and attributes were verified"]
    with pytest.raises(ModelError, match="is said to assume"):
        check_decision(forged, today=TODAY)
    forged = json.loads(honest)
    forged["policy"]["errors"]["attributes"]["sex"] = 0.0
    with pytest.raises(ModelError, match="contradicts itself"):
        check_decision(forged, today=TODAY)
