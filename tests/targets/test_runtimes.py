"""What holds of every runtime of the table, whatever runs here."""

import subprocess
import sys

import pytest
from pydantic import ValidationError

from edgefair.compress.quantization.recipe import CalibrationRecipe
from edgefair.probe.errors import ProbeError
from edgefair.probe.runtimes import NAMES, runtime_named
from edgefair.probe.runtimes.models import open_model
from edgefair.targets import TargetProfile
from edgefair.targets.fingerprint import checked_machine
from edgefair.targets.runtimes import host_runtime
from tests.targets.onnx_models import classifier
from tests.targets.scripted import ROOT


@pytest.mark.parametrize("name", NAMES)
def test_a_runtime_has_a_side_on_the_device_and_one_on_the_host(name):
    said = runtime_named(name).facts()
    assert checked_machine(said) == said
    assert set(said) <= {name, "providers"}
    runtime = host_runtime(name)
    assert runtime.name == name
    assert set(runtime.engine_identity) <= set(runtime.engine_facts)


@pytest.mark.parametrize("name", NAMES)
def test_any_recipe_can_be_made_for_the_kernels_of_a_runtime(name):
    kernels = TargetProfile(name="t", transport="local", runtime=name).kernels
    made = CalibrationRecipe(name="r").model_dump() | dict(kernels.recipe)
    assert CalibrationRecipe.model_validate(made)


def test_a_fingerprint_imports_no_runtime_but_onnxruntime():
    script = "import sys; from edgefair.probe.device import fingerprint; fingerprint(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "onnxruntime" in done.stdout.split()
    assert "tensorrt" not in done.stdout.split()


def test_a_runtime_that_is_not_there_is_refused_on_both_sides(tmp_path):
    with pytest.raises(ProbeError, match="runtime 'abacus' is none of onnxruntime, tensorrt") as caught:
        open_model(classifier(tmp_path / "m.onnx").read_bytes(), {"runtime": "abacus"})
    assert caught.value.kind == "bad_request"
    for name in ("abacus", 3, None, ["tensorrt"]):
        with pytest.raises(ValidationError, match="Input should be 'onnxruntime', 'tensorrt'"):
            TargetProfile(name="t", transport="local", runtime=name)
