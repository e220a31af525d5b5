import pytest
from pydantic import ValidationError

from edgefair.decision.policy import Policy

SEX = {"sex": {"groups": ["F", "M"]}}


@pytest.mark.parametrize(
    "changes",
    [
        {"max_eo_gap": 1.2},
        {"max_eo_gap": -0.1},
        {"max_eo_gap": float("nan")},
        {"alpha": 0},
        {"alpha": 1},
        {"attributes": {}},
        {"attributes": {"sex": {}}},
        {"attributes": {"sex": {"groups": ["F"]}}},
        {"attributes": {"sex": {"groups": ["F", "F"]}}},
        {"attributes": SEX | {"sex*age": {}}},
        {"min_balanced_accuracy": 2},
        {"max_latency_p90_ms": 0},
        {"rule": "guess"},
        {"surprise": 1},
    ],
)
def test_a_policy_that_contradicts_itself_is_refused(changes):
    with pytest.raises(ValidationError):
        Policy.model_validate({"attributes": SEX} | changes)


def test_an_intersection_that_lists_no_groups_means_all_combinations():
    policy = Policy.model_validate({"attributes": SEX | {"age": {"groups": [1, 2]}, "sex*age": {}}})
    assert policy.group_names("sex*age") == ("F*1", "F*2", "M*1", "M*2")
    assert policy.groups("sex*age") == policy.joint_groups == (("F", "1"), ("F", "2"), ("M", "1"), ("M", "2"))
    assert policy.base_attributes == ("sex", "age")


def test_the_digest_is_that_of_the_meaning_and_not_of_the_spelling():
    short = Policy.model_validate({"attributes": SEX})
    long = Policy.model_validate({"alpha": 0.05, "attributes": SEX, "rule": "bound", "max_eo_gap": 0.05})
    assert short.digest == long.digest
    assert short.digest != Policy.model_validate({"attributes": SEX, "alpha": 0.01}).digest
