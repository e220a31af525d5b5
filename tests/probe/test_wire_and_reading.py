import ast
import io
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import edgefair.probe
from edgefair.probe.onnx_files.reading import read_decisions, sum_tolerance
from edgefair.probe.onnx_files.spec import UNSEEN, Column, InputSpec, ModelSpec, Reading, encode
from edgefair.probe.onnx_files.spec_check import spec_from_json
from edgefair.probe.wire import DTYPES, TruncatedError, WireError, encode_frame, read_frame, write_frame

arrays = st.dictionaries(
    st.text(max_size=5),
    hnp.arrays(st.sampled_from(sorted(DTYPES)).map(np.dtype), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0)),
    max_size=3,
)


def sent(header, items):
    stream = io.BytesIO()
    write_frame(stream, encode_frame(header, items))
    return stream.getvalue()


@given(st.dictionaries(st.text(max_size=5).filter(lambda key: key != "arrays"), st.integers()), arrays)
def test_what_is_sent_arrives(header, items):
    got_header, got = read_frame(io.BytesIO(sent(header, items)))
    assert got_header == header
    assert got.keys() == items.keys()
    for name, array in items.items():
        assert got[name].dtype == array.dtype
        assert got[name].tobytes() == np.ascontiguousarray(array).tobytes()
        assert got[name].shape == array.shape


@given(arrays, st.data())
def test_a_truncated_frame_is_never_taken_for_a_whole_one(items, data):
    whole = sent({"do": "run"}, items)
    cut = data.draw(st.integers(1, len(whole) - 1))
    with pytest.raises(TruncatedError):
        read_frame(io.BytesIO(whole[:cut]))


@given(st.binary(min_size=1, max_size=200))
def test_garbage_is_refused(garbage):
    with pytest.raises(WireError):
        read_frame(io.BytesIO(garbage))


@pytest.mark.parametrize("shape", ["[99999999999999999]", "[0, 99999999999999999999]", "[-4]", "[4.0]", '"4"'])
def test_a_shape_that_no_memory_can_hold_or_that_is_none_is_refused(shape):
    frame = sent({}, {"x": np.zeros(4, dtype=np.uint8)})
    head = struct.Struct("<4sIQ")
    magic, _, _ = head.unpack(frame[: head.size])
    text = frame[head.size : -4].replace(b"[4]", shape.encode())
    with pytest.raises(WireError):
        read_frame(io.BytesIO(head.pack(magic, len(text), 1 << 60) + text))


def test_an_array_larger_than_its_frame_and_a_frame_larger_than_its_arrays_are_refused():
    frame = sent({}, {"x": np.zeros(4, dtype=np.uint8)})
    with pytest.raises(WireError, match="larger than its frame"):
        read_frame(io.BytesIO(frame.replace(b'"shape": [4]', b'"shape": [9]')))
    with pytest.raises(WireError, match="belong to no array"):
        read_frame(io.BytesIO(frame.replace(b'"shape": [4]', b'"shape": [3]')))


def test_objects_are_not_sent():
    with pytest.raises(ValueError, match="not supported"):
        sent({}, {"x": np.array([{}], dtype=object)})


def test_the_end_of_the_stream_is_no_frame():
    assert read_frame(io.BytesIO(b"")) is None


# Reading ------------------------------------------------------------------------------------------------------------


def read(output, classes=2, **reading):
    decision, score = read_decisions({"y": np.array(output)}, Reading("y", **reading), classes)
    return decision.tolist(), score


def test_every_kind_of_output_gives_the_same_decisions():
    probability = np.array([0.2, 0.7, 0.5], dtype=np.float32)
    logit = np.log(probability / (1 - probability))
    two = np.stack([1 - probability, probability], axis=1)
    for threshold, expected in ((0.5, [0, 1, 1]), (0.6, [0, 1, 0])):
        assert read(probability, kind="probability", threshold=threshold)[0] == expected
        assert read(probability[:, None], kind="probability", threshold=threshold)[0] == expected
        assert read(two, kind="probabilities", threshold=threshold)[0] == expected
        assert read(np.log(two), kind="logits", threshold=threshold)[0] == expected
        assert read(logit + 1e-6, kind="logit", threshold=threshold)[0] == expected
    assert read(np.array([0, 1, 1]), kind="label")[0] == [0, 1, 1]


@pytest.mark.parametrize(
    ("output", "reading", "message"),
    [
        ([[0.3], [0.8]], {"kind": "logits"}, "use kind logit or probability for one column"),
        ([[0.3], [0.8]], {"kind": "label"}, "not one whole-number label per row"),
        ([0, 2], {"kind": "label"}, "labels 0 to 2, not 0 to 1"),
        ([0, -1], {"kind": "label"}, "labels -1 to 0"),
        ([[0.2, 0.8, 0.0]], {"kind": "probabilities"}, "not probabilities in 2 columns"),
        ([[2.0, -1.0]], {"kind": "probabilities"}, "perhaps logits"),
        ([[0.2, 0.2]], {"kind": "probabilities"}, "do not sum to 1"),
        ([3.0], {"kind": "probability"}, "perhaps logits"),
        ([1, 0], {"kind": "logit"}, "is int64"),
        ([[0.1, 0.9]], {"kind": "guess"}, "unknown reading"),
    ],
)
def test_a_wrong_reading_is_an_error_and_not_a_silent_decision(output, reading, message):
    with pytest.raises(ValueError, match=message):
        read(output, **reading)


def test_a_threshold_for_more_than_two_classes_is_refused():
    with pytest.raises(ValueError, match="there are 3"):
        read(np.full((2, 3), 1 / 3), classes=3, kind="probabilities", threshold=0.5)


def test_a_score_beside_a_label_must_hold_probabilities():
    outputs = {"y": np.array([1]), "p": np.array([[3.0, -3.0]])}
    with pytest.raises(ValueError, match="output 'p' holds -3 to 3"):
        read_decisions(outputs, Reading("y", "label", score="p"), 2)


@given(st.integers(2, 1000), st.integers(0, 2**32 - 1), st.sampled_from([0.1, 1.0, 10.0]))
@settings(max_examples=40, deadline=None)
def test_a_softmax_of_half_precision_is_a_probability_and_nothing_wider_is(classes, seed, spread):
    """Computed in float16 throughout, its exponentials added in a tree, as a vector unit does."""
    logits = np.random.default_rng(seed).normal(scale=spread, size=(20, classes)).astype(np.float16)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    total = powers
    while total.shape[1] > 1:
        total = np.pad(total, ((0, 0), (0, total.shape[1] % 2)))
        total = total[:, ::2] + total[:, 1::2]
    half = powers * (np.float16(1) / total)
    assert half.dtype == np.float16
    for softmax in (half, half.astype(np.float32)):
        assert read(softmax, classes, kind="probabilities")[1].max() <= 1
    beyond = (
        half.astype(np.float64) / half.sum(axis=1, keepdims=True, dtype=np.float64) * (1 + 2 * sum_tolerance(classes))
    )
    with pytest.raises(ValueError, match=r"do not sum to 1|perhaps logits"):
        read(beyond, classes, kind="probabilities")


def test_what_half_precision_of_two_classes_may_be_off_is_known():
    assert sum_tolerance(2) == 4 * 2**-11
    assert read([[0.64648443, 0.3520508]], kind="probabilities")[0] == [0], "as Qualcomm's NPU sums, 0.0015 below 1"
    assert read([[1.0009766, 0.0]], kind="probabilities")[1].tolist() == [[1.0, 0.0]]


@given(hnp.arrays(np.float64, st.tuples(st.integers(1, 20), st.just(3)), elements=st.floats(-1e3, 1e3)))
def test_logits_become_probabilities_with_the_same_order(logits):
    decision, score = read_decisions({"y": logits}, Reading("y", "logits"), 3)
    assert np.allclose(score.sum(axis=1), 1)
    assert (np.take_along_axis(logits, decision[:, None], 1)[:, 0] >= logits.max(axis=1) - 1e-6).all()


# The probe on old devices -------------------------------------------------------------------------------------------


# What the loader imports where it is asked for signatures or texts, and the probe never does.
OPTIONAL = {"attestation.py": {"cryptography"}, "texts.py": {"tokenizers"}}


def imported(node):
    names = [item.name for item in node.names] if isinstance(node, ast.Import) else [node.module]
    return {".".join(name.split(".")[:2]) if name.startswith("edgefair") else name.split(".")[0] for name in names}


@pytest.mark.parametrize("path", sorted(Path(edgefair.probe.__file__).parent.rglob("*.py")), ids=lambda path: path.name)
def test_the_probe_is_python_3_9_and_needs_numpy_and_onnxruntime_alone(path):
    tree = ast.parse(path.read_text(), feature_version=(3, 9))
    allowed = sys.stdlib_module_names | {"numpy", "onnxruntime", "edgefair.probe"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            later = set() if node in tree.body else OPTIONAL.get(path.name, set())
            assert imported(node) <= allowed | later


# Spec -----------------------------------------------------------------------------------------------------------


def test_a_spec_comes_back_from_its_json_and_nothing_else_does():
    spec = ModelSpec(
        (InputSpec("n", "float32", (Column("a"),)), InputSpec("c", "int32", (Column("b", ("x", "é")),))),
        Reading("decision", "label", 0.4, "score"),
        ("no", "yes"),
    )
    assert spec_from_json(spec.to_json()) == spec
    for text in ("", "[]", "{}", spec.to_json().replace("spec/1", "spec/9"), spec.to_json().replace('"dtype"', '"x"')):
        with pytest.raises(ValueError):
            spec_from_json(text)


def test_raw_values_are_encoded_by_name_and_unknown_ones_are_unseen():
    item = InputSpec("c", "int32", (Column("b", ("x", "y")),))
    assert encode({"b": ["y", "z", "x"]}, item).tolist() == [[1], [UNSEEN], [0]]


def test_a_number_that_is_not_finite_is_not_encoded():
    with pytest.raises(ValueError, match="feature 'b' holds NaN"):
        encode({"a": [1.0], "b": [float("nan")]}, InputSpec("n", "float32", (Column("a"), Column("b"))))


def framed(header, payload=b""):
    return io.BytesIO(struct.pack("<4sIQ", b"EFP1", len(header), len(payload)) + header + payload)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"[" * 100_000, "malformed header"),
        (b'{"arrays": [{"name": ["x"], "dtype": "int8", "shape": [0]}]}', "name of an array is not text"),
        (b'{"arrays": [{"name": 1, "dtype": "int8", "shape": [0]}]}', "name of an array is not text"),
        (b'{"arrays": [{"name": "x", "dtype": "int8", "shape": [0]}, {"name": "x", "dtype": "int8", "shape": [0]}]}',
         "two arrays have the same name"),
        (b'{"arrays": [{"name": "x", "dtype": ["int8"], "shape": [0]}]}', "malformed header"),
        (b"[]", "malformed header"),
        (b'{"arrays": [{"name": "x", "dtype": "int8", "shape": [true]}]}', "has shape"),
    ],
)  # fmt: skip
def test_a_header_of_another_form_is_no_frame(header, message):
    with pytest.raises(WireError, match=message):
        read_frame(framed(header))


def test_a_frame_that_claims_more_than_a_batch_can_have_is_refused_before_it_is_read():
    with pytest.raises(WireError, match="not a frame"):
        read_frame(io.BytesIO(struct.pack("<4sIQ", b"EFP1", 2, 1 << 40) + b"{}"))
