"""What the `data:` section accepts, and what a built-in set fills in."""

import pytest
from pydantic import ValidationError

from edgefair.data.config import DataConfig, SplitConfig

MINE = {"source": "mine.csv", "label": "pay", "sensitive": ["sex"]}


@pytest.mark.parametrize(
    "given",
    [{}, {"sensitive": ["sex"]}, {"sensitive": "race"}, {"exclude": ["year"]}, {"exclude": "year", "sensitive": "sex"}],
)
def test_no_shorter_list_turns_sex_race_or_the_survey_weight_into_a_feature(given):
    config = DataConfig.model_validate({"source": "census-income", **given})
    assert {"sex", "race", "instance_weight"} <= {*config.sensitive, *config.exclude}
    assert ("year" in config.exclude) == ("exclude" in given)


def test_sensitive_columns_and_the_weight_are_features_only_when_the_config_says_so():
    allowed = {"source": "census-income", "sensitive": ["sex"], "allow_sensitive_features": True}
    assert "race" not in DataConfig.model_validate(allowed).exclude
    named = DataConfig.model_validate({"source": "census-income", "features": ["age", "instance_weight"]})
    assert named.features == ("age", "instance_weight")


def test_what_the_user_says_wins_over_what_a_built_in_set_fills_in():
    reversed_classes = DataConfig.model_validate({"source": "census-income", "classes": ["50000+", "-50000"]})
    assert (reversed_classes.classes, reversed_classes.positive) == (("50000+", "-50000"), None)
    other_label = DataConfig.model_validate({"source": "census-income", "label": "education"})
    assert (other_label.label, other_label.positive) == ("education", None)


def test_a_config_that_is_written_and_read_again_is_the_same():
    for given in ({"source": "census-income", "sensitive": ["sex"]}, MINE):
        config = DataConfig.model_validate(given)
        assert DataConfig.model_validate(config.model_dump()) == config


def test_numbers_and_booleans_of_yaml_are_the_texts_of_the_column():
    assert DataConfig.model_validate(MINE | {"positive": True}).positive == "True"
    assert DataConfig.model_validate(MINE | {"positive": 1}).positive == "1"
    assert DataConfig.model_validate(MINE | {"classes": [0, 1, 2]}).classes == ("0", "1", "2")
    split = SplitConfig.model_validate({"column": "part", "train": 0, "validation": [1], "audit": 2})
    assert (split.train, split.validation, split.audit) == (("0",), ("1",), ("2",))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": {"column": "part", "train": ["a", "b"], "audit": ["b"]}}, "'b' is listed for two splits"),
        ({"split": {"column": "part", "train": ["a"], "validation": ["b"], "audit": ["b"]}}, "listed for two splits"),
        ({"split": {"train": ["a"], "audit": ["b"]}}, "`column` is not set"),
        ({"sensitive": []}, "at least 1 item"),
        ({"sensitive": ["pay"]}, "both the label and a sensitive column"),
        ({"features": ["age", "sex"]}, "allow_sensitive_features"),
        ({"features": ["pay"]}, "the label 'pay' is among the features"),
        ({"positive": "x", "classes": ["x", "y"]}, "either `positive`"),
        ({"classes": ["x", "x"]}, "listed twice"),
        ({"validation": 1.0}, "less than 1"),
        ({"labels": "pay"}, "Extra inputs are not permitted"),
        ({"source": "census-income", "exclude": 3}, "exclude"),
        ({"source": ["census-income"]}, "source"),
    ],
)
def test_a_section_that_contradicts_itself_is_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        DataConfig.model_validate(MINE | changes)
