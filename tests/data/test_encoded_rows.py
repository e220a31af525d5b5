"""Rows made ahead of their use, and held where they fit: same order, same bytes, few at a time, no thread left."""

import threading
from itertools import count

import numpy as np
import pytest

from edgefair.config import parse_config
from edgefair.data.dataset import load
from edgefair.data.files.encoded import EncodedRows
from edgefair.data.files.lazy import ahead, makers
from edgefair.data.files.table import Table
from edgefair.data.rows import TableRows
from edgefair.errors import DataError
from edgefair.training.features import spec_for
from tests.data.pictures import write_faces

ROWS = 40
EVERYTHING, NOTHING = float("inf"), 0


def load_faces(folder):
    """40 JPEG files as a data set, and the model's section."""
    write_faces(folder, rows=ROWS)
    data = {"source": "faces.csv", "picture": "path", "folder": "pictures", "label": "smiling", "positive": "yes"}
    model = {"network": "resnet-18", "picture": {"height": 12, "width": 12}}
    policy = {"max_eo_gap": 0.5, "attributes": {"sex": {"groups": ["F", "M"]}}}
    config = parse_config({"data": {**data, "sensitive": ["sex"]}, "model": model, "policy": policy}, base=folder)
    return load(config.data, base=folder, roles=["train"]), config.model


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    return load_faces(tmp_path_factory.mktemp("faces"))


@pytest.fixture(params=[1, 2, 5], ids="{} threads".format)
def threads(request, monkeypatch):
    """How many make pieces; none of them is left after the test."""
    monkeypatch.setattr("edgefair.data.files.lazy.cores", lambda: 8)
    monkeypatch.setenv("OMP_NUM_THREADS", str(request.param))
    assert makers() == request.param
    before = workers()
    yield request.param
    assert workers() <= before


def workers():
    return {thread for thread in threading.enumerate() if thread.name.startswith("ThreadPoolExecutor")}


def small_pieces(monkeypatch, rows=3):
    monkeypatch.setattr("edgefair.data.rows.BATCH_BYTES", rows * 4 * 12 * 12 * 3)


@pytest.mark.parametrize("memory", [EVERYTHING, NOTHING], ids=["held", "made anew"])
def test_rows_come_in_their_order_with_the_same_bytes_however_many_threads_make_them(
    faces, threads, memory, monkeypatch
):
    data, model = faces
    spec = spec_for(data, model)
    (plain,) = data.train.inputs(spec, ROWS)
    small_pieces(monkeypatch)
    encoded = EncodedRows(data.train, spec, row_bytes=memory)
    random = np.random.default_rng(0)
    for order in (random.permutation(len(data.train)), random.integers(0, len(data.train), 50), np.arange(0)):
        batches = list(encoded.batches(order, 8))
        assert [len(batch["picture"]) for batch in batches] == [len(part) for part in chunks(order, 8)]
        for part, batch in zip(chunks(order, 8), batches, strict=True):
            assert batch["picture"].tobytes() == plain["picture"][part].tobytes()
    assert (encoded.whole is not None) == (memory == EVERYTHING)
    assert threads == makers()


def chunks(order, size):
    return [order[start : start + size] for start in range(0, len(order), size)]


def test_a_held_row_is_made_once_and_another_in_every_pass(faces, monkeypatch):
    data, model = faces
    made = count()
    decoded = type(data.train.table.columns["path"])._decoded
    monkeypatch.setattr(
        type(data.train.table.columns["path"]), "_decoded", lambda *given: (next(made), decoded(*given))[1]
    )
    spec, rows = spec_for(data, model), len(data.train)
    passes = (np.arange(rows), np.arange(rows)[::-1], np.tile(np.arange(rows // 2), 2))
    for memory, expected in ((12 * 12 * 3, rows), (12 * 12 * 3 - 1, sum(map(len, passes)))):
        before = next(made)
        encoded = EncodedRows(data.train, spec, row_bytes=memory)
        for order in passes:
            assert sum(len(batch["picture"]) for batch in encoded.batches(order, 7)) == len(order)
        assert next(made) - before - 1 == expected


@pytest.mark.parametrize("memory", [EVERYTHING, NOTHING], ids=["held", "made anew"])
def test_a_picture_that_has_gone_in_the_middle_is_named_and_no_thread_is_left(tmp_path, threads, memory, monkeypatch):
    data, model = load_faces(tmp_path)
    column, spec, rows = data.train.table.columns["path"], spec_for(data, model), len(data.train)
    gone = column.blobs.name(int(column.rows[rows // 2]))
    (tmp_path / "pictures" / gone).write_bytes(b"no picture")
    small_pieces(monkeypatch)
    encoded, given = EncodedRows(data.train, spec, row_bytes=memory), []
    with pytest.raises(DataError, match=f"picture '{gone}' cannot be decoded"):
        given.extend(len(batch["picture"]) for batch in encoded.batches(np.arange(rows), 4))
    assert sum(given) <= rows // 2, "what comes before it was given"
    assert encoded.whole is None
    assert threads == makers()


def test_few_pieces_wait_and_whoever_stops_early_leaves_no_thread(threads):
    lock, under_way, most, used = threading.Lock(), set(), [0], []

    def make(piece):
        with lock:
            under_way.add(piece)
            most[0] = max(most[0], len(under_way))
        return piece

    pieces = ahead(make, range(10_000))
    for piece in pieces:
        used.append(piece)
        with lock:
            under_way.discard(piece)
        if len(used) == 200:
            break
    pieces.close()
    assert used == list(range(200))
    assert most[0] <= threads + 1


@pytest.mark.parametrize("told", ["", "0", "many", "64", "2,1"])
def test_as_many_threads_make_cells_as_the_process_was_given(monkeypatch, told):
    monkeypatch.setattr("edgefair.data.files.lazy.cores", lambda: 8)
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    assert makers() == (2 if told == "2,1" else 8)


def test_rows_that_are_all_taken_in_their_order_are_no_copy():
    label = np.arange(4) % 2
    rows = TableRows(Table({"a": np.arange(4.0)}), ("a",), label, {}, None, None, ())
    assert rows.take(np.arange(4)) is rows
    for other in ([3, 2, 1, 0], [0, 1, 2], [0, 1, 2, 2]):
        np.testing.assert_array_equal(rows.take(np.array(other)).table.columns["a"], other)
