"""What is read of an ONNX file by hand: onnx's own descriptors and onnxruntime are the oracles."""

import numpy as np
import onnx
import onnxruntime
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from edgefair.probe.onnx_files.onnx_file import ELEMENTS, read_onnx
from edgefair.probe.onnx_files.protobuf import FIELDS, fields
from tests.targets.onnx_models import SPEC, classifier, save, value

CLASSES = {
    "Training": onnx.TrainingInfoProto,
    "SequenceType": onnx.TypeProto.Sequence,
    "MapType": onnx.TypeProto.Map,
    "TensorType": onnx.TypeProto.Tensor,
    "Shape": onnx.TensorShapeProto,
    "Dimension": onnx.TensorShapeProto.Dimension,
    "Entry": onnx.StringStringEntryProto,
}
SCALARS = {1: "double", 2: "float", 3: "int", 4: "int", 5: "int", 9: "bytes", 12: "bytes", 14: "int"}
MESSAGE = 11


@pytest.mark.parametrize("kind", FIELDS)
def test_the_fields_of_every_message_are_those_of_onnx(kind):
    """All that onnx knows here; a newer onnx may know more, which is refused until it stands in the table."""
    made = CLASSES.get(kind) or getattr(onnx, f"{kind}Proto")
    known = made.DESCRIPTOR.fields_by_number
    assert set(FIELDS[kind]) == set(known)
    for number, holds in FIELDS[kind].items():
        descriptor = known[number]
        assert holds.endswith("*") == descriptor.is_repeated, descriptor.name
        if descriptor.type != MESSAGE:
            assert holds.rstrip("*") == SCALARS[descriptor.type], descriptor.name
        elif holds.rstrip("*") != "bytes":
            named = CLASSES.get(holds.rstrip("*")) or getattr(onnx, f"{holds.rstrip('*')}Proto")
            alike = {"SparseTensor": onnx.TypeProto.SparseTensor, "Optional": onnx.TypeProto.Optional}
            assert descriptor.message_type in (
                named.DESCRIPTOR,
                alike.get(descriptor.message_type.name, named).DESCRIPTOR,
            )
        else:
            assert descriptor.message_type.name in NO_TENSORS


# Messages that lead to no tensor, and so are not looked into.
NO_TENSORS = {
    "OperatorSetIdProto", "DeviceConfigurationProto", "NodeDeviceConfigurationProto", "TensorAnnotation", "Segment",
    "Opaque",
}  # fmt: skip


def test_the_names_of_elements_are_those_of_onnxruntime():
    assert {TensorProto.DataType.Name(number).lower() for number in ELEMENTS} >= set(ELEMENTS.values())
    assert set(ELEMENTS) == set(TensorProto.DataType.values()) - {TensorProto.UNDEFINED}


def runtimes(content):
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    session = onnxruntime.InferenceSession(content, settings, providers=["CPUExecutionProvider"])
    sides = [session.get_inputs(), session.get_outputs()]
    return [[(item.name, item.type) for item in side] for side in sides], session


def identity(kind, shape=("n", 2)):
    return helper.make_node("Identity", ["x"], ["y"]), value("x", kind, shape), value("y", kind, shape)


@pytest.mark.parametrize("kind", ["FLOAT", "DOUBLE", "FLOAT16", "INT64", "INT32", "INT8", "UINT8", "BOOL", "STRING"])
def test_types_and_names_are_what_onnxruntime_says(tmp_path, kind):
    node, x, y = identity(getattr(TensorProto, kind))
    content = save(tmp_path / "m.onnx", [node], [x], [y]).read_bytes()
    found, (said, session) = read_onnx(content), runtimes(content)
    assert [[(item["name"], item["type"]) for item in side] for side in (found.inputs, found.outputs)] == said
    assert found.inputs[0]["shape"] == [None, 2]
    assert found.metadata == session.get_modelmeta().custom_metadata_map


def test_inputs_with_a_default_are_no_inputs(tmp_path):
    weights = numpy_helper.from_array(np.ones((2, 2), dtype=np.float32), "w")
    content = save(
        tmp_path / "m.onnx",
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        [value("x", TensorProto.FLOAT, ["n", 2]), value("w", TensorProto.FLOAT, [2, 2])],
        [value("y", TensorProto.FLOAT, [-1, 2])],
        [weights],
    ).read_bytes()
    found = read_onnx(content)
    assert [[item["name"] for item in side] for side in (found.inputs, found.outputs)] == [["x"], ["y"]]
    assert runtimes(content)[0][0] == [("x", "tensor(float)")]
    assert found.outputs[0]["shape"] == [None, 2], "a writer's -1 is a dynamic size"


def test_maps_and_sequences_have_onnxruntimes_names(tmp_path):
    ready = helper.make_tensor_sequence_value_info("y", TensorProto.FLOAT, None)
    content = save(
        tmp_path / "m.onnx",
        [helper.make_node("SequenceConstruct", ["x"], ["y"])],
        [value("x", TensorProto.FLOAT, None)],
        [ready],
    ).read_bytes()
    found = read_onnx(content)
    assert found.outputs[0]["type"] == runtimes(content)[0][1][0][1] == "seq(tensor(float))"
    assert found.inputs[0]["shape"] is None, "not even the number of sizes is said"
    zipped = helper.make_node("ZipMap", ["x"], ["z"], domain="ai.onnx.ml", classlabels_int64s=[0, 1])
    kind = helper.make_sequence_type_proto(helper.make_map_type_proto(7, helper.make_tensor_type_proto(1, None)))
    graph = helper.make_graph([zipped], "g", [value("x", 1, ["n", 2])], [helper.make_value_info("z", kind)])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 1)]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    assert read_onnx(made).outputs[0]["type"] == runtimes(made)[0][1][0][1] == "seq(map(int64,tensor(float)))"


def test_the_metadata_is_onnxs_own():
    made = helper.make_model(helper.make_graph([], "g", [], []))
    expected = {"edgefair.spec": SPEC.to_json(), "empty": "", "grün": "…" * 200}
    for key, text in expected.items():
        made.metadata_props.add(key=key, value=text)
    assert read_onnx(made.SerializeToString()).metadata == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda made: made.metadata_props.add(key="k", value="2"), "its metadata names 'k' twice"),
        (lambda made: made.ClearField("graph"), "it holds no graph"),
        (lambda made: made.graph.input.append(made.graph.input[0]), "have the same name"),
        (lambda made: made.graph.output[0].type.Clear(), "has no type, or several"),
        (lambda made: setattr(made.graph.output[0].type.tensor_type, "elem_type", 99), "elements of type 99"),
    ],
)
def test_a_file_that_says_two_things_or_nothing_is_refused(tmp_path, change, message):
    made = onnx.load_model(classifier(tmp_path / "m.onnx"))
    made.metadata_props.add(key="k", value="1")
    change(made)
    with pytest.raises(ValueError, match=message):
        read_onnx(made.SerializeToString())


# One spelling -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x88\x80\x80\x80\x10\x01", "more than 32 bits"),
        (b"\x88\x80\x80\x80\x80\x00\x01", "more than 32 bits|longer than it must be"),
        (b"\x88\x00\x01", "longer than it must be"),
        (b"\x08\x81\x00", "longer than it must be"),
        (b"\x12\x81\x00x", "longer than it must be"),
        (b"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02", "more than 64 bits"),
        (b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "more than 64 bits"),
        (b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "longer than its message"),
        (b"\x12\x05x", "longer than its message"),
        (b"\x00\x01", "field 0 of a Model"),
        (b"\xfa\xff\xff\xff\x0f\x00", "field 536870911 of a Model is not defined"),
        (b"\x0b\x0c", "field 1 of a Model has wire type 3"),
        (b"\x0c", "field 1 of a Model has wire type 4"),
        (b"\x0e\x00", "wire type 6"),
        (b"\x0a\x00", "field 1 of a Model has wire type 2, which is not that of int"),
        (b"\x38\x01", "field 7 of a Model has wire type 0, which is not that of Graph"),
        (b"\x08\x01\x08\x02", "field 1 of a Model is given twice"),
        (b"\x08", "a number is truncated"),
        (b"\x88", "a number is truncated"),
        (b"\x12", "a number is truncated"),
    ],
)
def test_what_protobufs_writers_never_write_is_refused(content, message):
    with pytest.raises(ValueError, match=message):
        list(fields("Model", memoryview(content)))


def test_the_largest_numbers_are_read():
    assert list(fields("Model", memoryview(b"\x08" + b"\xff" * 9 + b"\x01"))) == [(1, (1 << 64) - 1)]
    packed = list(fields("Tensor", memoryview(b"\x0a\x02\x01\x02\x08\x03")))
    assert [bytes(item) if not isinstance(item, int) else item for _, item in packed] == [b"\x01\x02", 3]


@given(st.data())
def test_whatever_is_read_is_what_onnx_reads(data):
    """Flipped bits end in a refusal by one of them, or in a file that both take alike."""
    whole = bytearray(CONTENT)
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        found = read_onnx(bytes(whole))
        made = onnx.ModelProto.FromString(bytes(whole))
    except (ValueError, DecodeError):
        return
    assert found.metadata == {entry.key: entry.value for entry in made.metadata_props}
    defaults = {item.name for item in made.graph.initializer}
    assert [item["name"] for item in found.inputs] == [
        item.name for item in made.graph.input if item.name not in defaults
    ]
    assert [item["name"] for item in found.outputs] == [item.name for item in made.graph.output]


def _content():
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [value("x", TensorProto.FLOAT, ["n", 2])],
        [value("y", TensorProto.FLOAT, ["n", 2])],
        [numpy_helper.from_array(np.ones((2, 2), dtype=np.float32), "w")],
    )
    made = helper.make_model(graph)
    made.metadata_props.add(key="key", value="text")
    return made.SerializeToString()


CONTENT = _content()
