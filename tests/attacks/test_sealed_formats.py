"""A sealed report shows no gate: in no format may that look as if nothing was wrong."""

import json
from io import StringIO
from xml.etree import ElementTree

import pytest

import edgefair
from edgefair.report.formats import FORMATS, open_format
from edgefair.report.formats.base import Item
from edgefair.report.results.verification import Report
from tests.attacks.sealed import project, verify

__all__ = ["project"]


@pytest.fixture
def said(project):
    """What a format writes of a model that did not PASS."""
    code, found = verify(project, "unfair.onnx")
    assert (code, found["targets"]) == (3, [])
    report = Report.from_json(found)

    def written(name):
        text = StringIO()
        open_format(name).write([Item(report)], text)
        return text.getvalue()

    return written


def test_every_format_can_hold_it_and_none_calls_it_pass_or_fail(said):
    for name in set(FORMATS) - {"gitlab-metrics"}:
        text = said(name).replace("not PASS", "").replace("until PASS", "")
        assert "INCONCLUSIVE" in text or "sealed" in text, name
        for word in ("FAIL", "brightgreen", ">PASS<"):
            head = text.partition("How to read")[0] if name == "html" else text
            assert word not in head, (name, word)


def test_formats_that_list_what_is_red_list_it(said):
    suites = ElementTree.fromstring(said("junit"))
    assert (suites.get("tests"), suites.get("failures")) == ("1", "1")
    assert "sealed" in suites.find("testsuite/testcase/failure").get("message")
    (run,) = json.loads(said("sarif"))["runs"]
    (result,) = run["results"]
    assert (result["level"], result["ruleId"]) == ("error", run["tool"]["driver"]["rules"][0]["id"])
    assert said("github").startswith("::error ")
    (issue,) = json.loads(said("gitlab-codequality"))
    assert issue["severity"] == "critical"
    assert "edgefair_exit_code 3" in said("gitlab-metrics")


def test_a_test_that_asserts_it_fails_and_says_why(project):
    config = edgefair.load_config(project / "edgefair.yaml")
    report = edgefair.verify(config, project / "unfair.onnx", uncompressed=True, latency=False)
    with pytest.raises(AssertionError, match=r"(?s)INCONCLUSIVE .*sealed"):
        edgefair.assert_fair(report)
