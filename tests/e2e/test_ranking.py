"""The repair asks which layer does most harm, whatever the low precision."""

import onnx
import pytest
from onnx import numpy_helper

from edgefair.compress.quantization.prepare import weight_name
from edgefair.compress.search.choice import Choice
from edgefair.config import load_config, with_compress
from edgefair.data.dataset import load
from edgefair.progress import silent
from edgefair.workflow.compression.candidates import Candidates
from edgefair.workflow.compression.trials import ValidationBench
from edgefair.workflow.job import Job
from edgefair.workflow.models.trained import trained_model


@pytest.mark.parametrize("precision", [{"int8": "dynamic"}, {"fp16": True}])
def test_the_layer_that_does_most_harm_comes_first_in_dynamic_int8_and_fp16_too(project, tmp_path, precision):
    config = with_compress(load_config(project / "edgefair.yaml"), **precision)
    data = load(config.data, base=config.base, roles=("train", "validation"))
    reference = trained_model(config, "plain", tmp_path / "reference" / "model.onnx", silent)
    candidates = Candidates(Job(config, data, silent), reference, "plain", tmp_path)
    prepared = candidates.sources.prepared(None)
    *_, harmful = nodes = candidates.graphs.nodes(None)
    assert len(nodes) == 3

    def graph(choice):
        """The last layer in low precision is one whose weights have changed their sign."""
        made = onnx.ModelProto()
        made.CopyFrom(prepared)
        if harmful not in choice.float_nodes:
            name = next(weight_name(node) for node in made.graph.node if node.name == harmful)
            weight = next(item for item in made.graph.initializer if item.name == name)
            weight.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(weight), name))
        return made

    candidates.graph = graph
    recipe = Choice(None, config.compress.calibration)
    bench = ValidationBench(candidates, tmp_path / "trials.jsonl", tmp_path, recipe=recipe)
    ranked = bench.nodes(recipe)
    assert ranked[0].node == harmful
    assert ranked[0].harm > 0
    assert sorted(item.node for item in ranked) == sorted(nodes)
