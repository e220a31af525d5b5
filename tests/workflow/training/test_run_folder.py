"""A finished run is never trained over unless that is asked for."""

import pytest
import torch
from safetensors.torch import save_file

from edgefair.errors import UsageError
from edgefair.training.run import Run
from edgefair.training.settings import ModelConfig
from edgefair.workflow.models.seen import Seen
from edgefair.workflow.training.run_folder import prepare_folder
from tests.targets.onnx_models import SPEC
from tests.workflow.small_project import project

SETTINGS = {"seed": 0, "train": {"epochs": 2}}


@pytest.fixture
def finished(tmp_path):
    _, data = project(tmp_path)
    folder = tmp_path / "runs/first"
    assert prepare_folder(folder, SETTINGS) is None
    run = Run(folder, SPEC, ModelConfig(), {}, SETTINGS, {"standing": {}})
    save_file({"w": torch.zeros(1)}, run.weights)
    run.save(Seen.by_config(data, SPEC).parts)
    return folder


def test_a_folder_is_made_and_an_unfinished_one_is_gone_on_with(tmp_path):
    folder = tmp_path / "runs/deep/first"
    assert prepare_folder(folder, SETTINGS) is None
    (folder / "checkpoint.safetensors").write_bytes(b"half")
    assert prepare_folder(folder, SETTINGS) is None
    assert (folder / "checkpoint.safetensors").read_bytes() == b"half"


def test_a_finished_run_with_the_same_settings_is_the_run(finished):
    run = prepare_folder(finished, SETTINGS)
    assert run is not None
    assert run.settings == SETTINGS


@pytest.mark.parametrize("other", [{"seed": 1, "train": {"epochs": 2}}, {"seed": 0}, SETTINGS | {"missing": "refuse"}])
def test_one_with_other_settings_stays_and_the_error_names_those_alone(finished, other):
    with pytest.raises(UsageError) as caught:
        prepare_folder(finished, other)
    changed = [key for key in {**SETTINGS, **other} if SETTINGS.get(key) != other.get(key)]
    assert f"({', '.join(changed)})" in caught.value.found
    assert prepare_folder(finished, SETTINGS) is not None


def test_overwriting_leaves_nothing_of_it(finished):
    assert prepare_folder(finished, {"seed": 1}, overwrite=True) is None
    assert list(finished.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(UsageError, match="cannot write the run"):
        prepare_folder(tmp_path / "runs/first", SETTINGS)
