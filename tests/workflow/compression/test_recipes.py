"""A calibration recipe is taken as it is written, but for where its quantizers must stand."""

import pytest

from edgefair.errors import UsageError
from edgefair.workflow.compression.recipes import check_recipes, kernels_of, recipe_of
from tests.workflow.small_project import project


def test_one_target_of_tensorrt_makes_the_whole_fleets_file_its_own(tmp_path):
    for targets in (["local"], ["tensorrt"], ["local", "tensorrt"]):
        config, _ = project(tmp_path, targets=targets)
        recipe, dialect = recipe_of(config, "int8-balanced"), "tensorrt" in targets
        assert any("dynamic" in item.lacks for item in kernels_of(config)) == dialect
        assert (recipe.runtime == "tensorrt") == dialect
        assert (recipe.activations == "int8-symmetric") == dialect
        assert recipe.rows == recipe_of(project(tmp_path)[0], "int8-balanced").rows


def test_16_bit_activations_are_a_low_precision_of_their_own_whatever_recipe_calibrates_them(tmp_path):
    wide, _ = project(tmp_path, compress={"int8": "a16w8"})
    for name in ("int8-entropy", "a16w8"):
        recipe = recipe_of(wide, name)
        assert (recipe.activations, recipe.runtime) == ("uint16", "npu")
    assert recipe_of(wide, "int8-entropy").method == "entropy"
    for other in ({"int8": "static"}, {"fp16": True}):
        with pytest.raises(UsageError, match="add --int8 a16w8"):
            recipe_of(project(tmp_path, compress=other)[0], "a16w8")


def test_recipes_that_the_repair_may_try_are_read_before_it_does(tmp_path):
    repair = {"calibrations": ["absent.yaml"]}
    check_recipes(project(tmp_path, compress={"repair": repair | {"enabled": False}})[0])
    with pytest.raises(UsageError, match=r"absent\.yaml"):
        check_recipes(project(tmp_path, compress={"repair": repair | {"enabled": True}})[0])
    with pytest.raises(UsageError, match=r"other\.yaml"):
        check_recipes(project(tmp_path, compress={"int8": "static", "calibration": "other.yaml"})[0])
