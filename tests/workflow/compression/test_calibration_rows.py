"""Calibration takes rows of everybody who is judged, and none of those that judge."""

import numpy as np
import pytest

from edgefair.compress.low_precision import LOW_PRECISIONS
from edgefair.errors import DataError
from edgefair.progress import silent
from edgefair.workflow.compression.calibration import CalibrationRows, idle_calibration
from edgefair.workflow.compression.recipes import recipe_of
from edgefair.workflow.job import Job
from tests.workflow.small_project import columns_of, dense_of, project


def calibration(folder, columns=None, **sections):
    config, data = project(folder, columns, **sections)
    return CalibrationRows(Job(config, data, silent), dense_of(folder)), config, data


def cells_of(rows):
    return np.bincount(rows.sensitive["sex"].codes * 2 + rows.label, minlength=4)


def test_every_cell_gives_the_same_number_of_training_rows(tmp_path):
    found, config, data = calibration(tmp_path)
    recipe = recipe_of(config, "int8-balanced").model_copy(update={"rows": 40})
    rows, warnings = found.rows(recipe)
    assert cells_of(rows).tolist() == [10] * 4
    assert set(rows.row_hashes.tolist()) <= set(data.train.row_hashes.tolist())
    assert found.rows(recipe) == (rows, warnings), "found once"


def test_the_worst_groups_give_more(tmp_path):
    columns = columns_of()
    # Of women the model, which goes by a + b / 2, decides the opposite.
    columns["hired"] = np.where((columns["a"] + 0.5 * columns["b"] < 0) ^ (columns["sex"] == "F"), "yes", "no")
    found, config, _ = calibration(tmp_path, columns)
    recipe = recipe_of(config, "int8-worst").model_copy(update={"rows": 80})
    women, men = cells_of(found.rows(recipe)[0]).reshape(2, 2).sum(axis=1)
    assert women > men


def test_a_judged_cell_without_training_rows_is_refused_before_anything_is_trained(tmp_path):
    columns = columns_of()
    training_women = (columns["part"] == "train") & (columns["sex"] == "F")
    columns["hired"][training_women] = "no"
    found, config, _ = calibration(tmp_path, columns)
    with pytest.raises(DataError, match="F"):
        found.check(recipe_of(config, "int8-balanced"))


def test_without_training_rows_a_file_of_rows_is_asked_for(tmp_path):
    found, config, _ = calibration(tmp_path, data={"split": {"audit_fraction": 1}})
    with pytest.raises(DataError) as caught:
        found.rows(recipe_of(config, "int8-balanced"))
    assert "--calibration FILE" in caught.value.fix


def test_a_recipe_that_nothing_is_calibrated_by_is_told_and_the_usual_one_is_not(tmp_path):
    usual, _ = project(tmp_path, compress={"int8": "static"})
    other, _ = project(tmp_path, compress={"int8": "static", "calibration": "int8-entropy"})
    static, dynamic = LOW_PRECISIONS["static"], LOW_PRECISIONS["dynamic"]
    assert idle_calibration(usual, dynamic) == idle_calibration(usual, None) == idle_calibration(other, static) == ()
    for kind in (dynamic, None):
        (note,) = idle_calibration(other, kind)
        assert note.startswith("calibration 'int8-entropy' has no effect")
