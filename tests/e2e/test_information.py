"""What a report says beside the verdict: scores of each group, measured on the device or absent with a reason."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from edgefair.errors import DataError
from edgefair.workflow.measurement.records.record import load_record
from tests.attacks.judged import CONFIG, linear, people, report, run, write_project


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = write_project(tmp_path_factory.mktemp("information"))
    linear(folder / "m.onnx")
    return folder


@pytest.fixture(scope="module")
def judged(project):
    model, record = project / "m.onnx", project / "raw.npz"
    return report("verify", project, model, "--no-latency", "--record", record)[1]


def test_the_auc_of_a_group_is_that_of_what_the_model_ranks_by(project, judged):
    found = judged["targets"][0]["information"]
    record = load_record(project / "raw.npz")
    assert len(record.targets[0].score) == judged["audit"]["rows"]
    score, label, sex = record.targets[0].score, record.rows.label, np.array(record.rows.sensitive["sex"].text())
    for group in found["scores"]["sex"]:
        mine = sex == group["group"]
        assert group["auc"]["value"] == pytest.approx(roc_auc_score(label[mine], score[mine]))
        assert group["auc"]["lower"] < norm.cdf(2 / (0.75 * np.sqrt(2))) < group["auc"]["upper"]
        assert group["calibration"]["lower"] < group["calibration"]["value"] < group["calibration"]["upper"]
    gap = found["gaps"]["sex"]
    assert gap["value"] == judged["targets"][0]["verdict"]["attributes"][0]["gap"]
    assert gap["lower"] == 0 < gap["value"] < gap["upper"]
    assert found["no_scores"] == ""


def test_a_record_keeps_the_scores(project, judged):
    _, again = report("verify", project, "--from-record", project / "raw.npz")
    assert again["targets"][0]["information"] == judged["targets"][0]["information"]
    shown = run("verify", project, "--from-record", project / "raw.npz").output
    assert "mean score - rate" in shown


@pytest.mark.parametrize("wrong", [np.nan, 1.5, -0.2])
def test_a_record_of_scores_that_are_no_probabilities_is_refused(project, judged, tmp_path, wrong):
    with np.load(project / "raw.npz") as archive:
        arrays = dict(archive)
    for score in (np.append(arrays["0/score"][:-1], np.float32(wrong)), arrays["0/score"][:-1], arrays["label"]):
        np.savez(tmp_path / "raw.npz", **(arrays | {"0/score": score}))
        with pytest.raises(DataError, match="is not a record"):
            load_record(tmp_path / "raw.npz")


def test_rows_of_subjects_have_no_scores_and_it_is_said(tmp_path):
    rows = people(6000)
    rows["person"] = np.array([f"p{row // 2}" for row in range(6000)])
    config = CONFIG.replace("  id: id\n", "  id: id\n  subject: person\n")
    folder = write_project(tmp_path, config, rows)
    found = report("verify", folder, linear(folder / "m.onnx"), "--no-latency")[1]["targets"][0]["information"]
    assert found["scores"] == {}
    assert "data.subject" in found["no_scores"]
    assert found["gaps"]["sex"]["lower"] == 0
