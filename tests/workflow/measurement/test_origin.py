"""Two devices that decide differently: the layer that it begins in is named, and none that only passes it on."""

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgefair.graphs.boundaries import Boundaries
from edgefair.graphs.inner_values import inner_values
from edgefair.measure.disagreement import Disagreement
from edgefair.progress import silent
from edgefair.report.hit import beginnings
from edgefair.report.results.verification import Report
from edgefair.targets.profile import TargetProfile
from edgefair.workflow.job import Job
from edgefair.workflow.measurement.origin.search import BOUNDARY, GROWS, HIDDEN, Seen, compared, first_layer
from edgefair.workflow.measurement.origin.trace import with_origins
from tests.bundle.small_bundle import COUNTS, POLICY, report_on
from tests.targets.onnx_models import classifier, saturating, save, value
from tests.workflow.small_project import project

SAMPLES = Path(__file__).parents[2] / "samples"
WIDTH, DEPTH = 6, 12
X = np.random.default_rng(1).normal(size=(16, WIDTH)).astype(np.float32)


def network(path):
    """Layers m0, m1, ... with weights w0, w1, ...; from the second on with a shortcut beside each."""
    rng = np.random.default_rng(0)
    nodes, weights, last = [], [], "x"
    for layer in range(DEPTH):
        weights.append(numpy_helper.from_array(rng.normal(size=(WIDTH, WIDTH)).astype(np.float32) / 3, f"w{layer}"))
        nodes.append(helper.make_node("MatMul", [last, f"w{layer}"], [f"p{layer}"], name=f"m{layer}"))
        nodes.append(helper.make_node("Relu", [f"p{layer}"], [f"r{layer}"]))
        if layer:
            nodes.append(helper.make_node("Add", [last, f"r{layer}"], [f"s{layer}"]))
        last = f"s{layer}" if layer else "r0"
    nodes.append(helper.make_node("ArgMax", [last], ["decision"], axis=1, keepdims=0))
    outputs = [value("decision", TensorProto.INT64, ["n"])]
    return onnx.load_model(save(path, nodes, [value("x", TensorProto.FLOAT, ["n", WIDTH])], outputs, weights))


def values_of(model, graph):
    """All inner values, by this machine."""
    return next(inner_values(model, graph.values, [{"x": X}]))


def faulty(model, weight, by):
    """The model with one number of one weight changed."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    (held,) = (item for item in made.graph.initializer if item.name == weight)
    array = numpy_helper.to_array(held).copy()
    array[0, 0] += by
    held.CopyFrom(numpy_helper.from_array(array, weight))
    return made


def found(graph, one, other, hidden=()):
    """The answer of the search, and which values it looked at."""
    looked = []

    def look(name):
        looked.append(name)
        return None if name in hidden else compared(one[name], other[name], coded=False)

    return first_layer(graph, look), looked


def test_whichever_layer_computes_otherwise_is_named_and_few_values_are_looked_at(tmp_path):
    model = network(tmp_path / "m.onnx")
    graph = Boundaries(model, ["decision"])
    right = values_of(model, graph)
    for layer in range(DEPTH):
        wrong = values_of(faulty(model, f"w{layer}", 1.0), graph)
        begins, looked = found(graph, right, wrong)
        assert (begins.node, begins.operator, begins.weight) == (f"m{layer}", "MatMul", f"w{layer}")
        assert begins.difference == compared(right[f"r{layer}"], wrong[f"r{layer}"], coded=False).difference > 0.01
        assert len(looked) == len(set(looked)) <= 10 < len(graph.values)


def test_rounding_begins_in_no_layer(tmp_path):
    model = network(tmp_path / "m.onnx")
    graph = Boundaries(model, ["decision"])
    right, rounded = values_of(model, graph), values_of(faulty(model, "w0", 1e-6), graph)
    assert any(not np.array_equal(right[name], rounded[name]) for name in graph.values)
    assert found(graph, right, rounded)[0] == BOUNDARY


def test_a_layer_that_enlarges_what_its_inputs_differ_by_begins_nothing(tmp_path):
    graph = Boundaries(network(tmp_path / "m.onnx"), ["decision"])
    small, larger = Seen(0.9e-4, beyond=False), Seen(2e-4, beyond=True)
    late = {f"{kind}{layer}" for kind in "rs" for layer in range(5, DEPTH)}
    assert first_layer(graph, lambda name: larger if name in late else small) == GROWS.format("m5")


def test_what_vanishes_when_it_is_looked_at_is_searched_around(tmp_path):
    model = network(tmp_path / "m.onnx")
    graph = Boundaries(model, ["decision"])
    right, wrong = values_of(model, graph), values_of(faulty(model, "w5", 1.0), graph)
    assert found(graph, right, wrong, hidden={"r5"})[0].node == "m5"
    assert found(graph, right, wrong, hidden={"r5", "s5", "r6"})[0] == HIDDEN.format(2, "m6")


def test_codes_are_looked_at_where_they_leave_a_fused_kernel_and_one_step_of_them_is_rounding(tmp_path):
    graph = Boundaries(onnx.load_model(saturating(tmp_path / "m.onnx")), ["decision"])
    assert graph.values == ("xq", "pq", "logits")
    assert [graph.coded(name) for name in graph.values] == [True, True, True]
    codes = np.array([[10, 200]], np.uint8)
    assert not compared(codes, codes + np.uint8(1), coded=True).beyond
    assert compared(codes, codes - np.uint8(2), coded=True) == Seen(2 / 192, beyond=True)


@pytest.mark.parametrize(("sample", "said"), [(None, "target 'lost'"), ("linear.tflite", "of TFLite files")])
def test_what_cannot_be_looked_at_and_a_device_lost_meanwhile_cost_the_finding_alone(tmp_path, sample, said):
    config, data = project(tmp_path)
    path = classifier(tmp_path / "model.onnx") if sample is None else SAMPLES / sample
    report = Report.from_json(report_on(COUNTS, POLICY))
    pair = Disagreement("lost", "local", len(data.audit), 3, ())
    decided = np.zeros(len(data.audit), np.int64)
    lost = TargetProfile.model_validate({"name": "lost", "transport": "ssh", "ssh": {"host": "127.0.0.1", "port": 9}})
    local = TargetProfile.model_validate({"name": "local", "transport": "local"})
    traced = with_origins(
        Job(config, data, silent),
        dataclasses.replace(report, disagreements=(pair,)),
        path,
        data.audit,
        [lost, local],
        {"lost": decided, "local": np.where(np.arange(len(decided)) < 3, 1, decided)},
    )
    (note,) = traced.notes
    assert note.startswith("the layer in which lost and local begin to differ was not found: ")
    assert said in note
    assert traced.targets == report.targets
    assert beginnings(traced.disagreements) == []


def test_a_difference_is_a_share_of_the_range_over_all_rows_and_not_over_those_that_differ():
    one = np.array([[0.0], [0.01], [-5.0], [5.0]], np.float32)
    other = one + np.array([[0.01], [0.0], [0.0], [0.5]], np.float32)
    assert compared(one, other, np.array([0, 1]), coded=False).difference == pytest.approx(0.01 / 10.5)
    assert compared(one[:2], other[:2], coded=False).difference == pytest.approx(1.0)
