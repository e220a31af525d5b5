"""What an export makes where TensorRT is among the targets, whatever recipe is asked for."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgefair.compress.low_precision import LOW_PRECISIONS
from edgefair.compress.search.choice import Choice
from edgefair.config import load_config, with_compress
from edgefair.data.dataset import load
from edgefair.errors import UsageError
from edgefair.probe.runtimes.engine_build import Build, open_log
from edgefair.progress import silent
from edgefair.workflow.compression.candidates import Candidates
from edgefair.workflow.compression.precision import numerics_of
from edgefair.workflow.job import Job
from edgefair.workflow.kept_targets import KeptTargets
from edgefair.workflow.models.reference import Reference
from edgefair.workflow.models.trained import trained_model
from tests.e2e.commands import run
from tests.probe.small_networks import built, exported


@pytest.fixture(params=["int8-balanced", "int8-entropy"])
def made(project, tmp_path, request):
    """A file for a fleet of a processor and a GPU, and how it was made."""
    config = with_compress(load_config(project / "edgefair.yaml"), int8="auto", calibration=request.param)
    config = config.model_copy(update={"targets": ["local", "tensorrt"]})
    data = load(config.data, base=config.base, roles=("train", "validation"))
    reference = trained_model(config, "plain", tmp_path / "reference" / "model.onnx", silent)
    candidates = Candidates(Job(config, data, silent), reference, "plain", tmp_path)
    return candidates.make(Choice(None, request.param), tmp_path / "int8.onnx")


def test_any_recipe_makes_symmetric_int8(made):
    model = onnx.load(made.path)
    constant = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    zeros = [constant[node.input[2]] for node in model.graph.node if node.op_type == "QuantizeLinear"]
    assert zeros
    assert all(zero.dtype == np.int8 and not zero.any() for zero in zeros)
    assert made.settings["calibration"]["runtime"] == "tensorrt"


@pytest.mark.filterwarnings("ignore:.*Timing cache:DeprecationWarning")
def test_nvidias_parser_reads_what_any_recipe_made(made):
    package = pytest.importorskip("tensorrt_rtx", exc_type=ImportError)
    assert Build(package, open_log(package), made.path.read_bytes(), 64, None).plan()


def test_texts_get_static_int8(project, tmp_path):
    config = with_compress(load_config(project / "edgefair.yaml"), int8="auto")
    exported(tmp_path, "text-transformer")
    reference = Reference(built("text-transformer")[1], tmp_path / "text-transformer.onnx", {})
    once = KeptTargets(keep=False)
    assert numerics_of(config, reference, once).kind is LOW_PRECISIONS["dynamic"]
    for target in ("tensorrt", "onnxruntime-tensorrt"):
        there = config.model_copy(update={"targets": [target]})
        assert numerics_of(there, reference, once).kind is LOW_PRECISIONS["static"]


def test_dynamic_int8_is_refused_before_a_device_is_asked(project):
    result = run("export", "--int8", "dynamic", "--target", "tensorrt", "-c", project / "edgefair.yaml")
    assert result.exit_code == UsageError.exit_code
    assert "TensorRT, which runs the model on a target, has no dynamic INT8" in result.stderr
