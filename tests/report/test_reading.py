"""Saved results are read back as they were, and what is none is refused with what to do."""

import copy
import importlib
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from edgefair.cli import main
from edgefair.decision.policy import Policy
from edgefair.errors import UsageError
from edgefair.measure.paired import PairedCounts
from edgefair.report.formats.base import Item
from edgefair.report.formats.json import json_text
from edgefair.report.results.comparison import compare_paired
from edgefair.report.results.diagnosis import AttributeExposure, Diagnosis, Exposure
from edgefair.report.results.explanation import Cell, Explanation, Layer, Moved
from edgefair.report.results.plan import AttributePlan, CellPlan, GapPlan, GatePlan, Plan
from edgefair.report.saved import READERS, read_saved
from tests.report.golden_results import ONE_CLASS, document, report_of, results
from tests.report.study_results import studies

SAMPLE = Path(__file__).parent.parent / "samples/0.1.0/bundle"
MOVED = Moved(0.5, None, (0.5, None), (0.1, None), (0.1, None), (0.0, None))


def others():
    """A result of every kind that is no verdict."""
    table = [[[[90, 5], [5, 90]], [[80, 10], [10, 80]]]] * 2
    paired = PairedCounts(("sex",), (("F",), ("M",)), ("no", "yes"), np.array(table))
    policy = Policy.model_validate({"attributes": {"sex": {"groups": ["F", "M"]}}, "max_eo_increase": 0.1})
    exposure = Exposure("F", "yes", 10, 0.5, 10, 0, loss=0.25, notes=("few rows",))
    plan = AttributePlan("sex", 0.05, 52, (CellPlan("F", (10, 20)),), ("F has 10",), None, None)
    power = (GapPlan(0.0, 0.5, 0.02, 2.0, None), GapPlan(0.01, 0.25, 0.02, None, 400))
    gates = (GatePlan("eo_gap", 0.5, "sex: TPR, F / M"), GatePlan("decisions_vary", 1.0, None))
    layer = Layer("n", "Conv", "w", MOVED, MOVED, None, (0.1, None), None, None, None)
    cells = (Cell("F", "yes", 10, 20), Cell("M", "yes", 0, 0))
    return {
        "compare": compare_paired(paired, policy, before="a", after="b"),
        "diagnosis": Diagnosis("fair", "people.csv", 20, 10, 0.05, 1.0, ("sex",), (exposure,),
                               (AttributeExposure("sex", (exposure,)),)),
        "plan": Plan("people.csv", 30, "rows", ("no", "yes"), 0.8, 0.1, 0.01, None, 0.05, ("sex", "F"), (plan,), gates,
                     power, 400, ("race",)),
        "explanation": Explanation("m.onnx", "static", "static INT8", "INT8", "7 bits", "local",
                                   "people.csv", 64, 0.5, ("sex",), None, None, cells,
                                   (layer,)),
    }  # fmt: skip


KNOWN = results() | others() | studies()


@pytest.mark.parametrize("name", KNOWN)
def test_a_result_is_read_back_as_it_was(name, tmp_path):
    file = tmp_path / "result.json"
    file.write_text(json_text(KNOWN[name]))
    assert read_saved(file) == KNOWN[name]


def test_every_schema_that_is_read_is_tried_here():
    assert {result.schema.partition("/")[0] for result in KNOWN.values()} == READERS.keys()


def test_keys_of_a_later_version_are_passed_over(tmp_path):
    data = KNOWN["pass"].to_json()
    data["later"] = data["targets"][0]["later"] = data["targets"][0]["verdict"]["later"] = {"a": 1}
    (tmp_path / "result.json").write_text(json.dumps(data))
    assert read_saved(tmp_path / "result.json") == KNOWN["pass"]


def test_a_bundle_of_0_1_0_is_read_by_the_ids_that_its_gates_had_not():
    report = read_saved(SAMPLE)
    assert report.outcome == "PASS"
    assert report.targets[0].verdict.gate("eo_gap").binding.code == "within_threshold"


def test_a_report_of_the_first_format_is_read_without_what_it_did_not_hold(tmp_path):
    data = json.loads((SAMPLE / "report.json").read_text()) | {"schema": "edgefair.report/1"}
    del data["data"]
    for target in data["targets"]:
        del target["evidence"]
    (tmp_path / "old.json").write_text(json.dumps(data))
    assert read_saved(tmp_path / "old.json").targets[0].evidence == {}
    shown = CliRunner().invoke(main, ["report", str(tmp_path / "old.json")])
    assert shown.exit_code == 0, shown.output
    assert "how its rows were chosen is not recorded" in shown.stdout


@pytest.mark.parametrize(("int8", "called"), [("static", "static INT8"), (None, "FP16")])
def test_an_explanation_of_0_1_0_is_called_by_its_key(int8, called, tmp_path):
    data = KNOWN["explanation"].to_json() | {"int8": int8}
    del data["called"], data["precision"], data["unsaturated"]
    (tmp_path / "old.json").write_text(json.dumps(data))
    shown = CliRunner().invoke(main, ["report", str(tmp_path / "old.json")])
    assert shown.exit_code == 0, shown.output
    assert f"m.onnx: {called}, people.csv" in shown.stdout
    assert f"most harm by {called.split()[-1]} first" in shown.stdout


def claim_pass(data):
    data["outcome"], data["exit_code"] = "PASS", 0


def claim_pass_of_target(data):
    claim_pass(data)
    data["targets"][0]["verdict"] |= {"outcome": "PASS", "exit_code": 0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (claim_pass, r"it is PASS \(exit code 0\), and FAIL \(1\) by its targets"),
        (claim_pass_of_target, r"target 'local' is PASS \(exit code 0\), and FAIL \(1\) by its gates"),
        (lambda data: data.pop("model"), "model"),
        (lambda data: data.update(targets=[1]), "not a whole result"),
        (lambda data: data.update(schema="edgefair.report/3"), "is edgefair.report/3, and this version .* reads"),
        (lambda data: data.update(schema="edgefair.report/0"), "is edgefair.report/0"),
        (lambda data: data.update(schema="edgefair.report/²"), "and this version"),
        (lambda data: data.update(schema="edgefair.data/1"), "no result that can be shown again"),
        (lambda data: data.update(schema=["edgefair.report/2"]), "no result that can be shown again"),
        (lambda data: data.pop("schema"), "its schema is None"),
        (lambda data: data["model"].update(bytes="3149"), r"model\.bytes"),
        (lambda data: data["targets"][0]["verdict"]["gates"][0].update(id="size"), "not a whole result"),
    ],
)
def test_what_is_no_report_is_refused(change, message, tmp_path):
    data = copy.deepcopy(KNOWN["fail"].to_json())
    data = json.loads(json.dumps(data))
    change(data)
    (tmp_path / "result.json").write_text(json.dumps(data))
    with pytest.raises(UsageError, match=message):
        read_saved(tmp_path / "result.json")
    refused = CliRunner().invoke(main, ["report", str(tmp_path / "result.json")])
    assert (refused.exit_code, refused.stdout) == (2, "")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"1", b"\xff", b'{"schema": NaN}', b"[" * 100_000, b"PK\x03\x04"]
)
def test_what_is_no_json_is_refused(content, tmp_path):
    (tmp_path / "result.json").write_bytes(content)
    with pytest.raises(UsageError):
        read_saved(tmp_path / "result.json")


def test_a_report_that_was_cut_anywhere_is_refused(tmp_path):
    whole = json_text(KNOWN["pass"])
    for end in range(0, len(whole), 997):
        (tmp_path / "result.json").write_text(whole[:end])
        with pytest.raises(UsageError, match="was cut"):
            read_saved(tmp_path / "result.json")


def test_no_file_is_named(tmp_path):
    with pytest.raises(UsageError, match="cannot read"):
        read_saved(tmp_path / "absent.json")
    with pytest.raises(UsageError, match=r"report\.json"):
        read_saved(tmp_path)


def test_several_results_are_one_document(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("pass", "targets", "error"):
        Path(f"{name}.json").write_text(json_text(KNOWN[name]))
    made = CliRunner().invoke(
        main, ["report", "pass.json", "targets.json", "error.json", "--json", "--format", "junit=a.xml"]
    )
    assert made.exit_code == 0, made.output
    assert [item["schema"] for item in json.loads(made.stdout)] == ["edgefair.report/2"] * 2 + ["edgefair.error/1"]
    suites = Path("a.xml").read_text()
    for name in ("pass.json: local", "targets.json: qemu:haswell", "error.json: no verdict"):
        assert f'<testsuite name="{name}"' in suites


@pytest.mark.parametrize(
    ("files", "form", "message"),
    [
        (["pass", "fail"], "card", "holds one result, and there are 2"),
        (["pass", "fail"], "badge", "holds one result, and there are 2"),
        (["plan"], "cyclonedx", "holds verdicts"),
        (["pass", "error"], "sarif", "holds verdicts"),
    ],
)
def test_a_format_that_does_not_hold_the_results_is_refused(files, form, message, tmp_path):
    for name in files:
        (tmp_path / name).write_text(json_text(KNOWN[name]))
    refused = CliRunner().invoke(main, ["report", *(str(tmp_path / name) for name in files), "--format", form])
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert message in refused.stderr


def test_a_report_that_is_read_shows_that_one_class_for_everybody_is_not_green(tmp_path):
    (tmp_path / "result.json").write_text(json_text(report_of(ONE_CLASS)))
    shown = CliRunner().invoke(main, ["report", str(tmp_path / "result.json")])
    assert "VACUOUS      equalized-odds gap" in shown.stdout
    assert not [line for line in shown.stdout.splitlines() if line.startswith("PASS")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.json", "./a.json"], "'a.json' is named twice"),
        (["a.json", "--format", "junit=./a.json"], "'a.json' is one of the results, and would be overwritten"),
        (
            ["a.json", "--format", "junit=b", "--format", "markdown=../here/b"],
            "several formats would be written to 'b'",
        ),
        (["a.json", "--schema"], "FILES or --schema"),
    ],
)
def test_no_file_is_named_for_two_things(arguments, message, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    Path("a.json").write_text(json_text(KNOWN["pass"]))
    refused = CliRunner().invoke(main, ["report", *arguments])
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert message in refused.stderr
    assert Path("a.json").read_text() == json_text(KNOWN["pass"])


@pytest.mark.parametrize("name", KNOWN)
def test_every_kind_of_result_is_shown_in_a_terminal_by_its_view(name):
    assert callable(importlib.import_module(type(KNOWN[name]).view).render)
    assert document("terminal", Item(KNOWN[name])).strip()
