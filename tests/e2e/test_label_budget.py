"""Labels cost money: a project whose audit rows have none chooses which to label, and is judged by those."""

import csv
import json
import shutil

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from edgefair.bundle.redecision import check_decision
from edgefair.errors import ModelError
from edgefair.probe.bundles.consistency import ContradictionError, check_report
from edgefair.workflow.clock import today
from tests.e2e.commands import edit, refused, run

ROWS = 8000
CONFIG = """\
project: small
data:
  source: people.csv
  label: hired
  classes: ["no", "yes"]
  sensitive: [sex]
  id: pid
  split: {audit_fraction: 1}
model:
  output: {name: prob, kind: probability}
policy:
  max_eo_gap: 0.1
  max_eo_increase: 0.05
  attributes:
    sex: {groups: [F, M]}
"""


def write_model(path, weight):
    nodes = [
        helper.make_node("Concat", ["x", "z"], ["both"], axis=1),
        helper.make_node("MatMul", ["both", "w"], ["sum"]),
        helper.make_node("Add", ["sum", "b"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["prob"]),
    ]
    numbers = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 1]) for name in ("x", "z", "prob")]
    constants = [
        helper.make_tensor("w", TensorProto.FLOAT, [2, 1], [weight, 1.0]),
        helper.make_tensor("b", TensorProto.FLOAT, [1], [-2.0]),
    ]
    graph = helper.make_graph(nodes, "g", numbers[:2], numbers[2:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, path)


def write_people(folder, labels, rows=slice(None)):
    rng = np.random.default_rng(0)
    sex, x, z = rng.choice(["F", "M"], ROWS), rng.normal(size=ROWS), rng.normal(size=ROWS)
    truth = np.where(rng.random(ROWS) < 1 / (1 + np.exp(-(2.5 * x + z - 2))), "yes", "no")
    ids = [f"p{index}" for index in range(ROWS)]
    written = [truth[index] if name in labels else "" for index, name in enumerate(ids)]
    table = list(zip(ids, x, z, sex, written, strict=True))[rows]
    with (folder / "people.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("pid", "x", "z", "sex", "hired"), *table])


def ids_in(path):
    with path.open() as stream:
        return [row["pid"] for row in csv.DictReader(stream)]


def unlabelled(folder):
    """A project in which nobody has a label."""
    (folder / "edgefair.yaml").write_text(CONFIG)
    write_people(folder, set())
    write_model(folder / "fp32.onnx", 2.5)
    write_model(folder / "int8.onnx", 2.55)
    return folder


@pytest.fixture
def project(tmp_path):
    return unlabelled(tmp_path)


def plan(project, budget, *more):
    arguments = ("--label-budget", budget, "--model", project / "fp32.onnx", "--out", project / "todo.csv", *more)
    return run("plan", *arguments, "-c", project / "edgefair.yaml")


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    """A project of which the 1,800 rows that the plan asked for have a label; not to be written to."""
    folder = unlabelled(tmp_path_factory.mktemp("planned"))
    assert plan(folder, 1800).exit_code == 0
    write_people(folder, set(ids_in(folder / "todo.csv")))
    edit(folder, data__label_design="todo.design.json")
    return folder


@pytest.fixture
def labelled(planned, tmp_path):
    """The same, free to be changed."""
    return shutil.copytree(planned, tmp_path / "labelled")


def verified(project, *more):
    arguments = ("int8.onnx", "--reference", "fp32.onnx")
    paths = [project / item if item.endswith(".onnx") else item for item in arguments]
    return run("verify", *paths, "--no-latency", "--json", "-c", project / "edgefair.yaml", *more)


def verified_as_brought(project):
    """The same decisions, as a device wrote them that got the inputs."""
    config = ("-c", project / "edgefair.yaml")
    assert run("data", "export-inputs", project / "int8.onnx", "-o", project / "inputs.npz", *config).exit_code == 0
    session = onnxruntime.InferenceSession(project / "int8.onnx")
    with np.load(project / "inputs.npz") as inputs:
        (score,) = session.run(None, {name: inputs[name] for name in ("x", "z")})
        rows = zip(inputs["pid"], (score[:, 0] > 0.5).astype(int), score[:, 0], strict=True)
        (project / "d.csv").write_text("pid,decision,score\n" + "".join(f"{a},{b},{c}\n" for a, b, c in rows))
    return run("verify", "--decisions", project / "d.csv", "--reference", project / "fp32.onnx", "--json", *config)


def test_rows_are_chosen_labelled_and_weighed(labelled):
    chosen = ids_in(labelled / "todo.csv")
    assert len(chosen) == len(set(chosen)) == 1800
    result = verified(labelled, "--record", labelled / "rows.npz")
    report = json.loads(result.stdout)
    assert report["outcome"] == "PASS"
    assert report["audit"]["rows"] == ROWS
    (note,) = (note for note in report["notes"] if "label design" in note)
    assert "1,800 of 8,000 are labelled" in note
    (target,) = report["targets"]
    assert target["information"]["scores"] == {}
    assert target["flips"] == []
    brought = json.loads(verified_as_brought(labelled).stdout)["targets"][0]
    assert [brought["evidence"][key] for key in ("strata", "paired")] == [
        target["evidence"][key] for key in ("strata", "paired")
    ]
    write_people(labelled, {f"p{index}" for index in range(ROWS)})
    everything = json.loads(verified(labelled, "--set", "data.label_design=null").stdout)
    for one, other in zip(target["verdict"]["gates"], everything["targets"][0]["verdict"]["gates"], strict=True):
        if one["id"] in {"eo_gap", "eo_increase"}:
            assert one["lower"] <= other["estimate"] <= one["upper"]
    assert target["verdict"]["accuracy"] == pytest.approx(everything["targets"][0]["verdict"]["accuracy"], abs=0.03)
    record = ("--from-record", labelled / "rows.npz", "--json", "-c", labelled / "edgefair.yaml")
    again = json.loads(run("verify", *record).stdout)
    assert again["targets"][0]["verdict"] == target["verdict"]
    assert again["targets"][0]["evidence"] == target["evidence"]


def test_the_report_is_decided_again_from_itself_alone(labelled):
    report = json.loads(verified(labelled).stdout)
    check_decision(report, today=today())
    consistent(report)


def consistent(report):
    """As a device finds it."""
    check_report(report, outcome="PASS", sha256=report["model"]["sha256"], size=report["model"]["bytes"])


def without_strata(report):
    """As if the labelled rows were a random sample."""
    evidence = report["targets"][0]["evidence"]
    report["audit"]["rows"] = sum(map(sum, evidence.pop("strata")["labelled"]))


def other_sizes(report):
    rows = report["targets"][0]["evidence"]["strata"]["rows"]
    rows[0], rows[-1] = rows[0] + 500, rows[-1] - 500 if rows[-1] > 900 else rows[-1]
    report["audit"]["rows"] = sum(rows)


def other_labels(report):
    strata = report["targets"][0]["evidence"]["strata"]
    strata["labelled"][0] = strata["labelled"][0][::-1]


@pytest.mark.parametrize("change", [without_strata, other_sizes, other_labels])
def test_a_report_with_other_strata_is_refused(labelled, change):
    report = json.loads(verified(labelled).stdout)
    change(report)
    with pytest.raises(ModelError):
        check_decision(report, today=today())
    with pytest.raises(ContradictionError):
        consistent(report)


def test_the_same_seed_chooses_the_same_rows_in_any_order_and_another_seed_others(project):
    assert plan(project, 900).exit_code == 0
    first = set(ids_in(project / "todo.csv"))
    (project / "todo.design.json").unlink()
    write_people(project, set(), slice(None, None, -1))
    assert plan(project, 900).exit_code == 0
    assert set(ids_in(project / "todo.csv")) == first
    (project / "todo.design.json").unlink()
    assert plan(project, 900, "--set", "seed=1").exit_code == 0
    assert set(ids_in(project / "todo.csv")) != first


def test_few_labels_are_said_to_end_inconclusive(project):
    result = plan(project, 120, "--json")
    assert result.exit_code == 3
    assert "labelled rows with label 'yes'" in json.loads(result.stdout)["lacking"][0]


def test_a_design_under_way_is_not_overwritten(project):
    assert plan(project, 900).exit_code == 0
    before = (project / "todo.design.json").read_bytes()
    result = plan(project, 1000)
    assert result.exit_code == 2
    assert "another label design" in result.stderr
    assert (project / "todo.design.json").read_bytes() == before
    assert len(ids_in(project / "todo.csv")) == 900


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--label-budget", "10"), "a budget of 10 labels is too small: 32 are needed at least"),
        (("--label-budget", "9000"), "9,000 labels are planned for 8,000 audit rows"),
        (("--label-budget", "900", "--set", "data.id=null", "--set", "data.exclude=[pid]"), "needs an id of every row"),
        (("--label-budget", "900", "--set", "policy.attributes.sex.groups=[M, X]"), "does not declare it"),
        (("--label-budget", "900", "--set", "data.subject=pid", "--set", "data.id=null"), "id"),
    ],
)
def test_plans_that_cannot_be_are_refused(project, arguments, message):
    model = ("--model", project / "fp32.onnx", "--out", project / "todo.csv")
    assert message in refused(project, "plan", *arguments, *model)


def test_half_a_request_is_refused(project):
    assert "needs --out" in refused(project, "plan", "--label-budget", "900", "--model", project / "fp32.onnx")
    assert "add --label-budget" in refused(project, "plan", "--model", project / "fp32.onnx")
    assert "to score the rows with" in refused(project, "plan", "--label-budget", "900", "--out", project / "todo.csv")


def test_rows_that_are_labelled_already_are_no_subject_of_a_plan(project):
    write_people(project, {"p1", "p2"})
    arguments = ("--label-budget", "900", "--model", project / "fp32.onnx", "--out", project / "todo.csv")
    assert "2 of 8,000 audit rows have a label already" in refused(project, "plan", *arguments)


def test_without_a_design_every_row_needs_a_label(labelled):
    said = refused(labelled, "verify", labelled / "int8.onnx", "--no-latency", "--set", "data.label_design=null")
    assert "no label in 6200 rows" in said
    assert "--label-budget" in said


@pytest.mark.parametrize(
    "command", [("compare", "fp32.onnx", "int8.onnx"), ("plan", "--simulations", "50"), ("data", "describe")]
)
def test_what_does_not_weigh_rows_says_so(labelled, command):
    name, *rest = command
    arguments = [labelled / item if item.endswith(".onnx") else item for item in rest]
    assert "for `verify` and `export`" in refused(labelled, name, *arguments)


def judge(labelled):
    return refused(labelled, "verify", labelled / "int8.onnx", "--no-latency")


@pytest.mark.parametrize("what", ["--write-reference-audit", "--reference-audit"])
def test_a_record_of_chosen_rows_is_no_audit_of_a_reference_nor_joined_with_one(labelled, what):
    model, config = labelled / "fp32.onnx", ("-c", labelled / "edgefair.yaml")
    write_people(labelled, {f"p{index}" for index in range(ROWS)})
    everybody = ("--set", "data.label_design=null")
    made = ("--uncompressed", "--no-latency", "--write-reference-audit", labelled / "all.json")
    assert run("verify", model, *made, *everybody, *config).exit_code == 0
    write_people(labelled, set(ids_in(labelled / "todo.csv")))
    assert verified(labelled, "--record", labelled / "rows.npz").exit_code == 0
    ledger = (labelled / "edgefair.ledger.jsonl").read_text()
    file = labelled / ("all.json" if what == "--reference-audit" else "new.json")
    done = run("verify", "--from-record", labelled / "rows.npz", what, file, *everybody, *config)
    assert (done.exit_code, "rows that all have labels" in " ".join(done.stderr.split())) == (2, True), done.output
    assert (labelled / "edgefair.ledger.jsonl").read_text() == ledger


def test_a_chosen_row_without_a_label_is_named(labelled):
    chosen = ids_in(labelled / "todo.csv")
    write_people(labelled, set(chosen[1:]))
    assert f"1 of 1,800 rows of the label design have no label yet, for example '{chosen[0]}'" in judge(labelled)


def test_rows_that_were_removed_or_changed_since_are_refused(labelled):
    chosen = set(ids_in(labelled / "todo.csv"))
    write_people(labelled, chosen, slice(1, None))
    assert "made for 8,000 audit rows, and these 7,999 are not the same ones" in judge(labelled)
    write_people(labelled, chosen)
    text = (labelled / "people.csv").read_text()
    (labelled / "people.csv").write_text(text.replace(",F,", ",M,", 1))
    assert "audit rows have changed since the label design was made" in judge(labelled)


@pytest.mark.parametrize(
    "damage",
    [
        lambda design: design.pop("seed"),
        lambda design: design.update(schema="edgefair.label-design/9"),
        lambda design: design["strata"][0].update(rows=1),
        lambda design: design["strata"][0].update(chosen=0, probability=0.0),
        lambda design: design["stratum"].pop(),
        lambda design: design["stratum"].__setitem__(0, 99),
    ],
)
def test_a_damaged_design_is_refused(labelled, damage):
    path = labelled / "todo.design.json"
    design = json.loads(path.read_text())
    damage(design)
    path.write_text(json.dumps(design))
    assert "is no label design" in judge(labelled)


def test_a_design_and_subjects_are_refused_with_the_reason(labelled):
    edit(labelled, data__subject="pid")
    assert "several are of one person" in judge(labelled)
