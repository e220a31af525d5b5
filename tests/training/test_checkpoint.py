"""Checkpoints that are written while training goes on."""

import pytest

from edgefair.progress import silent
from edgefair.training.checkpoint import Checkpoint
from edgefair.training.loop import TrainingRecipe, train
from tests.training.interrupted import StopError, stop_after
from tests.training.test_training_loop import CONFIG, fresh, make_rows


@pytest.mark.parametrize(("progress", "told"), [(stop_after(10), StopError), (silent, OSError)])
def test_what_ended_a_training_is_told_and_not_the_disk_that_failed_beside_it(tmp_path, progress, told):
    rows, nowhere = make_rows(), Checkpoint(tmp_path / "file" / "c", "x")
    (tmp_path / "file").touch()
    with pytest.raises(told):
        train(fresh(rows), rows, TrainingRecipe(CONFIG), seed=3, checkpoint=nowhere, progress=progress)
