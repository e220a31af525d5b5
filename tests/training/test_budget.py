"""Default budgets follow the rows; what was set means what it says; a network that has not learned is named."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefair.config import parse_config, with_budget
from edgefair.training.budget import underfitting
from edgefair.training.settings import TrainConfig

RAW = {
    "data": {"source": "people.parquet", "label": "y", "positive": "yes", "sensitive": ["sex"]},
    "policy": {"attributes": {"sex": {"groups": ["F", "M"]}}},
}


@given(st.integers(1, 10**7))
def test_a_default_budget_takes_600_steps_or_100_epochs_and_never_less_than_4_epochs(rows):
    plan = TrainConfig().for_rows(rows)
    steps = plan.epochs * math.ceil(rows / plan.batch_rows)
    assert steps >= 600 or plan.epochs == 100
    assert 4 <= plan.epochs <= 100
    assert 64 <= plan.batch_rows <= 1024
    assert plan.batch_rows & (plan.batch_rows - 1) == 0


def test_1797_rows_get_hundreds_of_steps_and_census_what_it_had():
    small, census = TrainConfig().for_rows(1797), TrainConfig().for_rows(179_571)
    assert (small.epochs, small.batch_rows) == (21, 64)
    assert (census.epochs, census.batch_rows) == (4, 1024)


@given(st.integers(1, 10**7), st.integers(1, 50), st.integers(1, 5000))
def test_what_is_set_stays_and_a_plan_is_its_own_plan(rows, epochs, batch_rows):
    plan = TrainConfig(epochs=epochs, batch_rows=batch_rows).for_rows(rows)
    assert (plan.epochs, plan.batch_rows) == (epochs, batch_rows)
    assert plan.for_rows(7) == plan
    assert TrainConfig(epochs=epochs).for_rows(rows).epochs == epochs


def test_the_fine_tune_has_half_of_the_epochs_that_the_rows_give(tmp_path):
    config = parse_config(RAW, base=tmp_path)
    assert config.finetune_settings.epochs == 2
    assert with_budget(config, 1797).finetune_settings.epochs == 10
    own = parse_config(RAW | {"finetune": {"learning_rate": 0.1}}, base=tmp_path)
    assert with_budget(own, 1797).finetune_settings.epochs == 21


@pytest.mark.parametrize(
    ("losses", "rows", "balanced", "said"),
    [
        ([0.69, 0.68, 0.67, 0.66], 1797, 0.8, "it took 8 steps (4 epochs of 1,797 rows in batches of 1,024)"),
        ([0.5] * 200, 1797, 0.52, "balanced accuracy 0.520 on validation rows is hardly better than chance"),
        ([0.6] * 199 + [0.5], 1797, 0.8, "the loss still fell by 17% in the last epoch"),
        ([0.5] * 200, 1797, 0.8, None),
    ],
)
def test_training_that_was_too_short_is_said(losses, rows, balanced, said):
    notes = underfitting(losses, rows=rows, batch_rows=1024, balanced_accuracy=balanced, classes=2)
    assert bool(notes) == (said is not None)
    assert all(said in note and note.startswith("UNDERFITTED? ") for note in notes)
