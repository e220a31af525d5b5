"""What a category is called depends on its cell alone: not on the file's type, nor on what else is in the column."""

import json

import numpy as np
import onnx
import pandas
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper

from edgefair.cli import main
from edgefair.graphs.metadata import set_spec
from edgefair.probe.onnx_files.spec import Column, InputSpec, ModelSpec, Reading

ROWS = 4000
CONFIG = """\
project: codes
data:
  source: people.csv
  label: won
  positive: true
  sensitive: [sex]
  split: {{column: part, train: [1], audit: [2]}}
model: {{}}
policy:
  max_eo_gap: 0.5
  attributes:
    sex: {{groups: {groups}}}
"""
# What the model was trained on: values that were text because of others beside them.
VOCABULARIES = {
    "booleans": ("false", "true", "unknown"),
    "codes": ("01", "02", "A7"),
    "fractions": ("1.10", "1.20", "none"),
    "nulls": ("1", "2", "?"),
}


def graph(vocabulary):
    """logits = x + 3 where the code is the first, x - 3 elsewhere; a value it does not know is decided wrongly."""
    pull = np.full((len(vocabulary) + 1, 1), -3.0, dtype=np.float32)
    pull[0] = 3.0
    pull[-1] = 0.0
    made = helper.make_model(
        helper.make_graph(
            [
                helper.make_node("Gather", ["pull", "categorical"], ["pulled"]),
                helper.make_node("Squeeze", ["pulled", "last"], ["by_code"]),
                helper.make_node("Add", ["numeric", "by_code"], ["logit"]),
            ],
            "g",
            [
                helper.make_tensor_value_info("numeric", TensorProto.FLOAT, ["n", 1]),
                helper.make_tensor_value_info("categorical", TensorProto.INT32, ["n", 1]),
            ],
            [helper.make_tensor_value_info("logit", TensorProto.FLOAT, ["n", 1])],
            [numpy_helper.from_array(pull, "pull"), numpy_helper.from_array(np.array([2]), "last")],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    spec = ModelSpec(
        inputs=(
            InputSpec("numeric", "float32", (Column("x"),)),
            InputSpec("categorical", "int32", (Column("code", vocabulary),)),
        ),
        reading=Reading("logit", "logit"),
        classes=("False", "True"),
    )
    set_spec(made, spec)
    return made


def people(vocabulary, *, sex=("F", "M")):
    """The table of next month: the last value of the vocabulary does not occur."""
    rng = np.random.default_rng(0)
    code = rng.choice(vocabulary[:2], ROWS)
    x = rng.normal(size=ROWS).round(4)
    won = np.where(code == vocabulary[0], x + 3, x - 3) > 0
    part = np.where(np.arange(ROWS) % 2 == 0, 1, 2)
    return pandas.DataFrame({"x": x, "code": code, "sex": rng.choice(sex, ROWS), "won": won, "part": part})


def verified(folder, vocabulary, source, groups="[F, M]"):
    onnx.save(graph(vocabulary), folder / "model.onnx")
    (folder / "edgefair.yaml").write_text(CONFIG.format(groups=groups))
    given = [folder / "model.onnx", "--no-latency", "--json", "-c", folder / "edgefair.yaml"]
    result = CliRunner().invoke(main, ["verify", *map(str, given), "--set", f"data.source={source}"])
    return result.exit_code, json.loads(result.stdout) if result.exit_code in (0, 1, 3) else result.output


def accuracy(report):
    table = np.array(report["targets"][0]["counts"]["table"])
    return np.trace(table.sum(axis=0)) / table.sum()


@pytest.mark.parametrize("kind", VOCABULARIES)
@pytest.mark.parametrize("source", ["people.csv", "people.parquet"])
def test_the_next_table_without_one_value_is_decided_as_before(tmp_path, kind, source):
    table = people(VOCABULARIES[kind])
    table.to_csv(tmp_path / "people.csv", index=False)
    table.to_parquet(tmp_path / "people.parquet")
    code, report = verified(tmp_path, VOCABULARIES[kind], source)
    assert code == 0
    assert accuracy(report) == 1.0
    assert not any("does not know" in note for note in report["notes"])


@pytest.mark.parametrize("kind", ["booleans", "nulls"])
def test_types_of_parquet_that_csv_has_no_words_for_are_the_same_codes(tmp_path, kind):
    table = people(VOCABULARIES[kind])
    values = {"true": True, "false": False, "1": 1.0, "2": 2.0}
    table.assign(code=[values[item] for item in table["code"]]).to_parquet(tmp_path / "people.parquet")
    table.assign(code=[values[item] for item in table["code"]]).to_csv(tmp_path / "people.csv", index=False)
    for source in ("people.csv", "people.parquet"):
        _, report = verified(tmp_path, VOCABULARIES[kind], source)
        assert accuracy(report) == 1.0, source


@pytest.mark.parametrize("groups", ["[true, false]", '["true", "false"]', "['True', 'False']"])
@pytest.mark.parametrize("sex", [("true", "false"), ("True", "False"), (True, False)])
@pytest.mark.parametrize("source", ["people.csv", "people.parquet"])
def test_groups_and_labels_are_found_in_every_spelling(tmp_path, groups, sex, source):
    table = people(VOCABULARIES["codes"], sex=sex)
    table.to_csv(tmp_path / "people.csv", index=False)
    table.to_parquet(tmp_path / "people.parquet")
    code, report = verified(tmp_path, VOCABULARIES["codes"], source, groups)
    assert code == 0, report
    assert accuracy(report) == 1.0


def test_values_that_the_model_does_not_know_are_counted_and_said(tmp_path):
    table = people(VOCABULARIES["codes"])
    table.loc[(table["sex"] == "F") & (np.arange(ROWS) % 10 == 1), "code"] = "B9"
    table.to_csv(tmp_path / "people.csv", index=False)
    _, report = verified(tmp_path, VOCABULARIES["codes"], "people.csv")
    count = int(((table["code"] == "B9") & (table["part"] == 2)).sum())
    note = next(note for note in report["notes"] if "does not know" in note)
    assert f"'code' has values that the model does not know in {count} of 2,000 rows ('B9')" in note
    assert "most of the rows with sex = F" in note


def test_a_column_of_which_the_model_knows_nothing_is_an_error(tmp_path):
    table = people(VOCABULARIES["codes"])
    table["code"] = table["code"].map({"01": "one", "02": "two"})
    table.to_csv(tmp_path / "people.csv", index=False)
    code, said = verified(tmp_path, VOCABULARIES["codes"], "people.csv")
    assert code == 2
    assert "2,000 of 2,000 values of feature 'code' are unknown to the model: 'one', 'two'" in said
