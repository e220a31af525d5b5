"""The file of rows that a model has seen: the same bytes for the same rows, and nothing else is read."""

import io
import json
import zipfile

import numpy as np
import pytest

from edgefair.data.files.table import Categories, Table
from edgefair.data.identity.seen import SeenRows, columns_of, distinct, read_seen, seen_bytes
from edgefair.data.rows import TableRows
from edgefair.errors import DataError, ModelError
from edgefair.probe.onnx_files.spec import Column, InputSpec, ModelSpec, PictureSpec, Reading, TokenSpec


def people(numbers, ids=None, faces=None):
    numbers = np.asarray(numbers, dtype=np.float32)
    sex = Categories.of(["F"] * len(numbers))
    columns = {"a": numbers, "b": numbers * 2, "sex": sex} | ({} if faces is None else {"face": faces})
    features = tuple(name for name in columns if name != "sex")
    label = np.zeros(len(numbers), dtype=np.int64)
    ids = None if ids is None else Categories.of(ids)
    return TableRows(Table(columns), features, label, {"sex": sex}, ids, None, (*features, "sex"))


def test_what_is_written_is_read_back(tmp_path):
    one = SeenRows.of([people([1, 2, 2], ids=[7, 8, 9])], ("b", "a"))
    other = SeenRows.of([people([5], faces=np.ones((1, 2, 2)))], ("a", "b"))
    (tmp_path / "seen.npz").write_bytes(seen_bytes([one, other, one]))
    found = read_seen(tmp_path / "seen.npz")
    assert len(found) == 2
    assert found[0].same(one)
    assert found[1].same(other)
    assert found[0].columns == ("a", "b")
    assert len(found[0].content) == 3
    assert len(np.unique(found[0].content)) == 2


def test_the_same_rows_give_the_same_bytes_in_any_order_and_any_number_of_parts():
    rows = people([3, 1, 2, 2], ids=[1, 2, 3, 4])
    one = seen_bytes([SeenRows.of([rows], ("a", "b"))])
    order = np.array([2, 0, 3, 1])
    parts = [rows.take(order[:1]), rows.take(order[1:])]
    assert seen_bytes([SeenRows.of(parts, ("b", "a"))]) == one
    assert len(distinct([SeenRows.of([rows], ("a", "b")), SeenRows.of(parts, ("a", "b"))])) == 1


def test_only_what_the_model_sees_is_compared():
    spec = ModelSpec(
        (
            InputSpec("n", "float32", (Column("b"), Column("a"))),
            InputSpec("f", "float32", array="wave"),
            InputSpec("p", "uint8", picture=PictureSpec("face", 8, 8)),
            InputSpec("t", "int64", tokens=TokenSpec("text", "ids", 8, "0" * 64, 10, 0)),
        ),
        Reading("d", "label"),
        ("no", "yes"),
    )
    assert columns_of(spec) == ("a", "b", "face", "text", "wave")
    with pytest.raises(DataError, match="the model needs feature 'c'"):
        SeenRows.of([people([1])], ("a", "c"))


def test_arrays_are_those_that_the_model_sees():
    rows = people([1, 2], faces=np.arange(8.0).reshape(2, 2, 2))
    assert SeenRows.of([rows], ("a",)).arrays is None
    assert len(SeenRows.of([rows], ("a", "face")).arrays) == 2


def test_parts_of_models_that_see_other_features_make_no_file():
    with pytest.raises(ModelError, match="see different features"):
        seen_bytes([SeenRows.of([people([1])], ("a",)), SeenRows.of([people([1])], ("b",))])


def archive(**members):
    buffer = io.BytesIO()
    np.savez(buffer, **members)
    return buffer.getvalue()


def facts(**changes):
    content = {"schema": "edgefair.seen/2", "columns": ["a"], "parts": 1, **changes}
    return np.frombuffer(json.dumps(content).encode(), dtype=np.uint8)


HASHES = np.array([1, 2, 3], dtype=np.uint64)


def huge():
    """A member that claims a million million numbers."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        plain = zipfile.ZipFile(io.BytesIO(archive(facts=facts())))
        made.writestr("facts.npy", plain.read("facts.npy"))
        header = b"{'descr': '<u8', 'fortran_order': False, 'shape': (1000000000000,), }"
        header += b" " * (117 - len(header)) + b"\n"
        made.writestr("0-content.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    return buffer.getvalue()


def compressed():
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{"facts": facts(), "0-content": HASHES})
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no archive",
        archive(facts=facts()),
        archive(**{"0-content": HASHES}),
        archive(**{"facts": facts(schema="edgefair.seen/1"), "0-content": HASHES}),
        archive(**{"facts": facts(parts=2), "0-content": HASHES}),
        archive(**{"facts": facts(parts=True), "0-content": HASHES}),
        archive(**{"facts": facts(parts=10**9), "0-content": HASHES}),
        archive(**{"facts": facts(columns=["b", "a"]), "0-content": HASHES}),
        archive(**{"facts": facts(columns=[]), "0-content": HASHES}),
        archive(**{"facts": facts(columns="a"), "0-content": HASHES}),
        archive(**{"facts": facts(columns={"a": 1}), "0-content": HASHES}),
        archive(**{"facts": facts(columns=[["a"]]), "0-content": HASHES}),
        archive(**{"facts": facts(more=1), "0-content": HASHES}),
        archive(**{"facts": np.frombuffer(b"[1]", dtype=np.uint8), "0-content": HASHES}),
        archive(**{"facts": np.frombuffer(b"[" * 100_000, dtype=np.uint8), "0-content": HASHES}),
        archive(**{"facts": facts(), "0-content": HASHES[::-1]}),
        archive(**{"facts": facts(), "0-content": HASHES.astype(np.float64)}),
        archive(**{"facts": facts(), "0-content": HASHES.reshape(3, 1)}),
        archive(**{"facts": facts(), "0-content": HASHES, "0-more": HASHES}),
        compressed(),
        huge(),
    ],
)
def test_what_is_no_such_file_is_refused(tmp_path, content):
    (tmp_path / "seen.npz").write_bytes(content)
    with pytest.raises(ModelError, match=r"seen\.npz' cannot be read"):
        read_seen(tmp_path / "seen.npz")


def test_a_damaged_file_is_refused_or_read_and_never_a_traceback(tmp_path):
    good = seen_bytes([SeenRows.of([people(np.arange(50), ids=np.arange(50))], ("a", "b"))])
    rng, refused = np.random.default_rng(0), 0
    for _ in range(400):
        damaged = bytearray(good)
        for position in rng.integers(0, len(good), rng.integers(1, 6)):
            damaged[position] = rng.integers(256)
        (tmp_path / "seen.npz").write_bytes(
            damaged[: rng.integers(1, len(good) + 1)] if rng.random() < 0.3 else damaged
        )
        try:
            read_seen(tmp_path / "seen.npz")
        except ModelError:
            refused += 1
    assert refused > 350
