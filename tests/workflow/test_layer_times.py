"""Times of the runtime's nodes, given back to the layers that they were made of."""

from onnx import TensorProto, helper

from edgefair.workflow.explanation.cost import layer_times


def chain():
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], name="conv1"),
        helper.make_node("BatchNormalization", ["a", "s", "b", "m", "v"], ["n"], name="norm"),
        helper.make_node("Relu", ["n"], ["relu"], name="act"),
        helper.make_node("Conv", ["relu", "w"], ["c"], name="conv2"),
        helper.make_node("Gemm", ["c", "w"], ["y"], name="fc"),
    ]
    one = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])
    return helper.make_graph(nodes, "g", [one], [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])])


def test_a_fused_node_is_the_layer_that_its_name_or_its_output_comes_from():
    times = {"relu_nchwc": 14.0, "conv2_token_11": 36.0, "fused fc": 4.0, "ReorderOutput": 5.0}
    assert layer_times(chain(), times, ["conv1", "conv2", "fc"]) == {"conv1": 14.0, "conv2": 36.0, "fc": 4.0}


def test_a_layer_that_the_runtime_does_not_name_has_no_time():
    assert layer_times(chain(), {"elsewhere": 3.0}, ["conv1", "fc"]) == {}
    assert layer_times(chain(), {}, ["conv1"]) == {}


def test_a_layer_is_not_given_the_time_of_the_next_one():
    direct = chain()
    direct.node[3].input[0] = "a"
    del direct.node[1:3]
    assert layer_times(direct, {"conv2": 3.0}, ["conv1", "conv2", "fc"]) == {"conv2": 3.0}
