"""Oracle: onnx's own view of which tensors lie in other files."""

import time

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from edgefair.probe.onnx_files.external import kept_elsewhere


def tensor(name, external=False):
    made = numpy_helper.from_array(np.ones(2, dtype=np.float32), name)
    if external:
        made.ClearField("raw_data")
        made.data_location = TensorProto.EXTERNAL
        made.external_data.add(key="location", value="../w.bin")
    return made


def inner_graph(held):
    return helper.make_graph([helper.make_node("Identity", ["w"], ["b"])], "inner", [], [], [held])


def as_initializer(held):
    return helper.make_model(helper.make_graph([], "g", [], [], [tensor("a"), held]))


def as_constant(held):
    return helper.make_model(helper.make_graph([helper.make_node("Constant", [], ["y"], value=held)], "g", [], []))


def in_a_branch(held):
    node = helper.make_node("If", ["c"], ["y"], then_branch=inner_graph(tensor("t")), else_branch=inner_graph(held))
    return helper.make_model(helper.make_graph([node], "g", [], []))


def in_a_function(held):
    constant = helper.make_node("Constant", [], ["y"], value=held)
    function = helper.make_function("d", "f", [], ["y"], [constant], [helper.make_opsetid("", 20)])
    return helper.make_model(helper.make_graph([], "g", [], []), functions=[function])


def in_a_list(held):
    node = helper.make_node("Custom", [], ["y"], domain="d", many=[tensor("a"), held])
    return helper.make_model(helper.make_graph([node], "g", [], []))


def as_sparse_values(held):
    graph = helper.make_graph([], "g", [], [])
    sparse = graph.sparse_initializer.add(dims=[2])
    sparse.values.CopyFrom(held)
    return helper.make_model(graph)


IN_W = "it keeps its weights in other files ('w' is external data)"
PLACES = [as_initializer, as_constant, in_a_branch, in_a_function, in_a_list, as_sparse_values]


@pytest.mark.parametrize("place", PLACES)
def test_weights_in_another_file_are_found_wherever_the_model_may_keep_them(place):
    assert kept_elsewhere(place(tensor("w")).SerializeToString()) is None
    assert kept_elsewhere(place(tensor("w", external=True)).SerializeToString()) == IN_W


def test_a_location_is_enough_even_where_the_flag_is_not_set():
    held = tensor("w", external=True)
    held.ClearField("data_location")
    assert kept_elsewhere(as_initializer(held).SerializeToString()) == IN_W


@given(st.data())
def test_a_truncated_model_ends_in_an_answer_or_a_value_error(data):
    whole = in_a_branch(tensor("w")).SerializeToString()
    cut = whole[: data.draw(st.integers(0, len(whole)))]
    try:
        assert kept_elsewhere(cut) is None
    except ValueError:
        with pytest.raises(Exception, match="parsing message"):
            onnx.ModelProto.FromString(cut)


@given(st.binary(max_size=300))
def test_garbage_ends_in_an_answer_or_a_value_error(garbage):
    try:
        kept_elsewhere(garbage)
    except ValueError:
        return


def test_large_weights_are_not_read_byte_by_byte():
    model = helper.make_model(
        helper.make_graph([], "g", [], [], [numpy_helper.from_array(np.zeros(8_000_000, dtype=np.float32), "w")])
    )
    content = model.SerializeToString()
    started = time.process_time()
    assert kept_elsewhere(content) is None
    assert time.process_time() - started < 0.1
