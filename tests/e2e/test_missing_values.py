"""Rows with missing values: what stands in for them is in the exported file, and every way to it decides alike."""

import json

import numpy as np
import onnx
import pandas
import pytest

from edgefair.config import load_config
from edgefair.data.dataset import load
from edgefair.probe.bundles.runtime import load as load_on_device
from edgefair.probe.onnx_files.spec_check import spec_from_json
from tests.e2e.commands import run

ROWS = 6000
CONFIG = """\
project: gaps
data:
  source: people.csv
  label: hired
  positive: "yes"
  sensitive: [sex]
  missing: {missing}
  split: {{column: part, train: [train], audit: [test]}}
model: {{options: {{hidden: [128, 64]}}}}
train: {{epochs: 4, batch_rows: 128, learning_rate: 0.02}}
policy:
  max_eo_gap: 0.15
  attributes: {{sex: {{groups: [F, M]}}}}
"""


def people():
    """Skill is missing for every fifth row, and a missing job says more than any job does."""
    rng = np.random.default_rng(0)
    skill, job = rng.gamma(4.0, size=ROWS), rng.choice(["cook", "nurse", "pilot", ""], ROWS)
    clear = skill + 3.0 * (job == "") + 0.3 * rng.normal(size=ROWS)
    return pandas.DataFrame(
        {
            "skill": np.where(np.arange(ROWS) % 5 == 0, np.nan, skill),
            "age": rng.uniform(18, 80, ROWS).round(2),
            "job": job,
            "sex": rng.choice(["F", "M"], ROWS),
            "hired": np.where(clear > 5.0, "yes", "no"),
            "part": np.where(np.arange(ROWS) % 2 == 0, "train", "test"),
        }
    )


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """A project with a finished run `a`, and its bundle at dist/gaps."""
    folder = tmp_path_factory.mktemp("gaps")
    people().to_csv(folder / "people.csv", index=False)
    (folder / "edgefair.yaml").write_text(CONFIG.format(missing="median"))
    for command in (["train", "--name", "a"], ["export", "--int8", "--run", "a", "--no-latency", "--no-repair"]):
        done = run(*command, "-c", folder / "edgefair.yaml")
        assert done.exit_code == 0, done.output
    return folder


def audit_rows():
    rows = people()
    return rows[rows["part"] == "test"]


def verified(folder, *flags):
    done = run("verify", folder / "dist/gaps", "--no-latency", "--json", "-c", folder / "edgefair.yaml", *flags)
    assert done.exit_code in {0, 1, 3}, done.output
    return json.loads(done.stdout)


@pytest.mark.parametrize("none", [None, float("nan"), ""])
def test_the_loader_on_the_device_decides_rows_with_missing_values_as_the_audit_did(shipped, none):
    rows = audit_rows()
    skill = [none if np.isnan(value) else value for value in rows["skill"]]
    job = [value or none for value in rows["job"]]
    found = load_on_device(shipped / "dist/gaps").predict({"skill": skill, "age": list(rows["age"]), "job": job})
    decided = pandas.Series(found.decision, index=rows.index)
    expected = [
        [[int(((rows["sex"] == sex) & (rows["hired"] == was) & (decided == said)).sum()) for said in ("no", "yes")]
         for was in ("no", "yes")]
        for sex in ("F", "M")
    ]  # fmt: skip
    assert verified(shipped)["targets"][0]["counts"]["table"] == expected


def test_what_stands_in_is_that_of_the_training_rows_and_is_in_spec_graph_and_report(shipped):
    rows = people()
    data = load(load_config(shipped / "edgefair.yaml").data, base=shipped, roles=["train"])
    known = data.train.table.columns["skill"]
    median = float(np.float32(np.median(known[~np.isnan(known)].astype(np.float64))))
    assert median != float(np.float32(rows["skill"].median()))
    model = onnx.load_model(shipped / "dist/gaps/model.onnx")
    text = next(item.value for item in model.metadata_props if item.key == "edgefair.spec")
    columns = {column.name: column for item in spec_from_json(text).inputs for column in item.columns}
    assert (columns["skill"].missing, columns["skill"].fill) == ("median", median)
    assert columns["job"].missing == "category"
    assert spec_from_json(text).to_json() == text
    assert "IsNaN" in {node.op_type for node in model.graph.node}
    device = load_on_device(shipped / "dist/gaps")
    ages, jobs = [20.5, 60.0], ["cook", None]
    gap, filled = (
        device.predict({"skill": skills, "age": ages, "job": jobs}).score for skills in ([None] * 2, [median] * 2)
    )
    np.testing.assert_array_equal(gap, filled)
    unseen = device.predict({"skill": [median], "age": [60.0], "job": ["smith"]}).score
    assert abs(unseen[0, 1] - gap[1, 1]) > 0.1
    notes = "\n".join(verified(shipped)["notes"])
    assert f"'skill' has no number in 600 of 3,000 rows: the median of the training rows, {median:.6g}" in notes
    assert "'job' has no value in" in notes
    assert "a category of its own" in notes


def test_a_run_of_another_stand_in_is_another_run(shipped):
    again = run("train", "--name", "a", "-c", shipped / "edgefair.yaml", "--set", "data.missing=mean")
    assert again.exit_code == 2
    assert "(missing)" in again.stderr


def test_missing_numbers_are_refused_where_nothing_stands_in_for_them(shipped):
    config = shipped / "edgefair.yaml"
    refused = run("train", "--name", "b", "-c", config, "--set", "data.missing=refuse")
    assert refused.exit_code == 2
    assert "feature 'skill' is NaN, empty or infinite (as float32) in 1200 rows" in refused.stderr
    assert "data.missing: median" in refused.stderr


def test_a_model_that_was_trained_without_a_stand_in_is_not_judged_on_rows_with_gaps(shipped, tmp_path):
    people().fillna({"skill": 4.0}).to_csv(tmp_path / "people.csv", index=False)
    (tmp_path / "edgefair.yaml").write_text(CONFIG.format(missing="refuse"))
    for command in (["train", "--name", "a"], ["export", "--run", "a", "--no-latency"]):
        assert run(*command, "-c", tmp_path / "edgefair.yaml").exit_code in {0, 3}
    model = next(iter((tmp_path / "dist").rglob("*.onnx")))
    refused = run("verify", model, "--no-latency", "-c", shipped / "edgefair.yaml")
    assert refused.exit_code == 2
    assert "feature 'skill' has no number in 600 rows, and the model does not handle missing values" in refused.stderr


def test_an_infinite_number_is_never_a_missing_one(shipped):
    with pytest.raises(ValueError, match="'skill' holds an infinite number"):
        load_on_device(shipped / "dist/gaps").predict({"skill": [np.inf], "age": [20.0], "job": ["cook"]})
