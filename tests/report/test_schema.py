"""The schema of reports knows every key that a report holds, whatever the verdict, and refuses what is none."""

import copy
import json

import jsonschema
import numpy as np
import pytest

from edgefair.cli.commands.judge.report import command
from edgefair.decision.policy import Policy
from edgefair.measure.counts import GroupCounts
from edgefair.probe.bundles.gates import AT_LEAST, direction_of
from edgefair.report.saved import READERS
from edgefair.report.schema import HEADS, schema_of
from tests.bundle.small_bundle import report_on
from tests.report.golden_results import results
from tests.report.rich_results import compared, explained, rich
from tests.report.study_results import studies
from tests.report.test_reading import others

GROUPS = (("F", "old"), ("F", "young"), ("M", "old"), ("M", "young"))
ATTRIBUTES = {"sex": {"groups": ["F", "M"]}, "age": {"groups": ["old", "young"]}, "sex*age": {}}
WAIVER = {"comparison": "sex: TPR, F / M", "reason": "r", "owner": "o", "expires": "2999-01-01"}
CASES = [
    ("PASS", 4000, 0.9, {}),
    ("PASS", 4000, 0.9, {"waivers": [WAIVER]}),
    ("FAIL", 4000, 0.6, {}),
    ("INCONCLUSIVE", 40, 0.9, {}),
    ("INCONCLUSIVE", 0, 0.9, {}),
    ("INCONCLUSIVE", 4000, 0.9, {"max_accuracy_drop": 0.1, "max_latency_p90_ms": 5}),
]


def report(n, last, **policy):
    """The report of a model that finds a share `last` of the positives of the last group, of which there are n."""
    groups = [(4000, 0.9), (4000, 0.9), (4000, 0.9), (n, last)]
    tables = [[[m - m // 10, m // 10], [m - round(m * share), round(m * share)]] for m, share in groups]
    counts = GroupCounts(("sex", "age"), GROUPS, ("no", "yes"), np.array(tables))
    judged = Policy.model_validate(
        {"max_eo_gap": 0.1, "metrics": {"accuracy_difference": 0.5}, "attributes": ATTRIBUTES} | policy
    )
    return json.loads(json.dumps(report_on(counts, judged)))


def closed(schema):
    """The schema with no room for a key that it does not name."""
    found = copy.deepcopy(schema)
    for part in (found, *found.get("$defs", {}).values()):
        if "properties" in part:
            part["additionalProperties"] = False
    return found


@pytest.mark.parametrize(("outcome", "n", "last", "policy"), CASES)
def test_every_key_of_a_report_is_in_the_schema(outcome, n, last, policy):
    made = report(n, last, **policy)
    assert made["outcome"] == outcome
    jsonschema.validate(made, closed(schema_of("report")))


def test_every_gate_has_its_id_its_direction_and_the_name_that_it_always_had():
    gates = report(4000, 0.9, max_size_bytes=1)["targets"][0]["verdict"]["gates"]
    assert [(gate["id"], gate["name"]) for gate in gates] == [
        ("eo_gap", "equalized-odds gap"),
        ("decisions_vary", "decisions vary"),
        ("balanced_accuracy_floor", "worst-group balanced accuracy"),
        ("accuracy_difference", "accuracy_difference"),
        ("size", "size"),
    ]
    assert {gate["id"] for gate in gates if gate["direction"] == AT_LEAST} == {
        "decisions_vary",
        "balanced_accuracy_floor",
    }
    assert all(gate["direction"] == direction_of(gate["id"]) for gate in gates)


@pytest.mark.parametrize(
    ("n", "last", "code", "reason"),
    [
        (4000, 0.9, "within_threshold", ""),
        (4000, 0.6, "beyond_threshold", "beyond_threshold"),
        (100, 0.78, "estimate_beyond_threshold", "estimate_beyond_threshold"),
        (40, 0.9, "too_uncertain", "too_uncertain"),
        (10, 0.9, "too_few", "too_few: group 'M*young' has 10 rows with this label, 25 are needed"),
        (0, 0.9, "undefined_cell", "undefined_cell: group 'M*young' has no row with this label"),
    ],
)
def test_a_comparison_says_its_code_and_its_reason_still_begins_with_it(n, last, code, reason):
    binding = report(n, last)["targets"][0]["verdict"]["gates"][0]["binding"]
    assert (binding["code"], binding["reason"]) == (code, reason)


@pytest.mark.parametrize(
    "change",
    [
        lambda made: made.update(schema="edgefair.report/1"),
        lambda made: made.update(exit_code=2),
        lambda made: made.update(outcome="FINE"),
        lambda made: made.pop("policy"),
        lambda made: made["data"].pop("sha256"),
        lambda made: made["targets"][0]["verdict"]["gates"][0].update(id="equalized-odds gap"),
        lambda made: made["targets"][0]["verdict"]["gates"][0].update(direction="up"),
        lambda made: made["targets"][0]["verdict"]["gates"][0].pop("name"),
        lambda made: made["targets"][0]["verdict"]["comparisons"][0].update(code=""),
    ],
)
def test_what_is_no_report_does_not_fit(change):
    made = report(4000, 0.9)
    change(made)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(made, schema_of("report"))


OTHERS = others() | {"comparison": compared(), "explained": explained(3), "error": results()["error"], "rich": rich()}
OTHERS |= studies()


@pytest.mark.parametrize("name", OTHERS)
def test_every_kind_of_saved_result_has_a_schema_that_names_all_of_its_keys(name):
    result = OTHERS[name]
    kind = result.schema.removeprefix("edgefair.").partition("/")[0]
    schema = schema_of(kind)
    jsonschema.Draft202012Validator.check_schema(schema)
    made = json.loads(json.dumps(result.to_json()))
    jsonschema.validate(made, closed(schema))
    assert not jsonschema.Draft202012Validator(schema).is_valid({}), "some keys are required"


def test_what_is_read_back_has_a_schema_that_can_be_printed():
    (option,) = (item for item in command.params if item.name == "schema")
    assert {f"edgefair.{kind}" for kind in HEADS} == READERS.keys()
    assert set(option.type.choices) == HEADS.keys()


def test_what_a_docstring_says_of_a_field_is_said_of_the_key():
    schema = schema_of("report")
    assert schema["properties"]["created"]["description"] == "UTC, ISO 8601."
    assert "null where it cannot be formed" in schema["$defs"]["Comparison"]["properties"]["difference"]["description"]
    assert "Attributes:" not in json.dumps(schema)
