"""The first sentence of a page: what happens to whom, and only where that is the whole reason."""

from dataclasses import replace

import pytest

from edgefair.decision.verdict import Code, Joined
from edgefair.report.page.verdict import sheet
from edgefair.report.page.words import in_words, why_of
from tests.report.golden_results import results

RESULTS = results()
SAID = {
    "fail": (
        "Of those whose label is 'yes', 60.0% are decided 'yes' where sex is 'Male', and 80.0% where it is 'Female': "
        "20.0 points apart. At least 17.3 points are shown, and the policy allows 5."
    ),
    "pass": (
        "Of those whose label is 'yes', 80.0% are decided 'yes' where sex is 'Female', and 80.2% where it is 'Male': "
        "0.2 points apart. At most 1.7 points are shown, and the policy allows 5."
    ),
    "waiver": (
        "Of those whose label is 'no', 10.0% are decided 'yes' where sex is 'Female', and 10.1% where it is 'Male': "
        "0.1 points apart. At most 1.2 points are shown, and the policy allows 5."
    ),
    "classes": (
        "Of those whose label is 'class 9', 41.0% are decided 'class 9' where sex is 'Male', and 91.0% where it is "
        "'Female': 50.0 points apart. At least 43.1 points are shown, and the policy allows 5."
    ),
}


@pytest.mark.parametrize("name", SAID)
def test_a_page_begins_with_what_happens_to_whom(name):
    assert sheet(RESULTS[name], "t").lead == SAID[name]


def test_an_open_verdict_says_what_the_rows_do_not_show():
    lead = sheet(RESULTS["inconclusive"], "t").lead
    assert lead.endswith("These rows show only that it is 0.0 to 15.3 points, and the policy allows 5.")


def test_of_several_devices_the_one_that_blocks_is_named():
    blocking = next(target.target for target in RESULTS["targets"].targets if target.verdict.exit_code == 1)
    assert sheet(RESULTS["targets"], "t").lead.startswith(f"On {blocking}: Of those whose label is")


def test_a_model_that_decides_one_class_is_not_praised_for_its_gap():
    assert sheet(RESULTS["one-class"], "t").lead == (
        "More than one class predicted: FAIL, 1, threshold 2 (classes decided). The model predicts 'no' for everybody: "
        "its gap of 0 is meaningless."
    )


def test_an_exception_stands_beside_the_verdict_that_it_lets_through():
    assert "exceptions that the policy asks for" not in dict(sheet(RESULTS["pass"], "t").facts)
    told = dict(sheet(RESULTS["waiver"], "t").facts)["exceptions that the policy asks for"]
    assert "sex: TPR, Female / Male" in told
    assert "mended by May" in told


@pytest.mark.parametrize("code", Code)
def test_a_table_of_comparisons_says_why_in_words_and_in_no_codes(code):
    found = RESULTS["fail"].targets[0].verdict.gate("eo_gap").binding
    said = why_of(replace(found, code=code, reason=""))
    assert "_" not in said
    assert said != str(code)
    assert why_of(replace(found, reason="8 rows, and 52 are needed")) == "8 rows, and 52 are needed"
    assert why_of(replace(found, code=code, reason="", waived=True)) == f"{said}; waived"


def test_where_more_than_the_limits_decided_there_are_no_words():
    report = RESULTS["fail"]
    found = report.targets[0].verdict.gate("eo_gap").binding
    classes = report.targets[0].counts["classes"]
    assert in_words(found, classes)
    joined = Joined(*[1 for _ in Joined.__dataclass_fields__])
    for change in (
        {"waived": True}, {"joined": joined}, {"corrected_threshold": 0.01}, {"measure": "change of TPR"},
        {"rate_a": None}, {"lower": None}, {"lower": 0.01}, {"code": Code.TOO_FEW, "outcome": "INCONCLUSIVE"},
    ):  # fmt: skip
        assert in_words(replace(found, **change), classes) == "", change
