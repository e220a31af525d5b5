"""The embedded set, as published."""

from pathlib import Path

import pytest

from edgefair.data.config import DataConfig
from edgefair.data.dataset import load
from edgefair.data.overlap import check_overlap


@pytest.fixture(scope="module")
def census():
    config = DataConfig(source="census-income")
    return load(config, base=Path(), seed=0, roles=["train", "validation", "audit"])


def test_the_published_split_and_counts_are_kept(census):
    assert len(census.train) + len(census.validation) == 199_523
    assert len(census.audit) == 99_762
    sex, label = census.audit.sensitive["sex"], census.audit.label
    women = sex.codes == sex.values.index("Female")
    assert (int(women.sum()), int((~women).sum())) == (51_791, 47_971)
    assert (int(label[women].sum()), int(label[~women].sum())) == (1_305, 4_881)
    assert census.classes == ("-50000", "50000+")


def test_the_model_never_sees_sex_race_or_the_survey_weight(census):
    assert not {"sex", "race", "instance_weight", "income", "split"} & set(census.features)
    assert len(census.features) == 38


def test_people_share_all_answers_as_often_across_the_split_as_within_it(census):
    overlap = check_overlap([census.train, census.validation], census.audit)
    assert overlap.shared / overlap.audit_rows == pytest.approx(overlap.train_twins, abs=0.01)
    assert overlap.note is not None
