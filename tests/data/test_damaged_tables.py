"""Tables that are damaged, or that claim more than they hold."""

import io
import zipfile

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from edgefair.data.files.npz import NpzError, read_npz
from edgefair.data.files.readers import MANY_ROWS, read_blobs, read_table
from edgefair.errors import DataError


def everything(names):
    return names


def refused(path, message):
    with pytest.raises(DataError, match=message):
        read_table(path, everything)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "latin-1"])
def test_a_csv_file_of_another_encoding_is_refused(tmp_path, encoding):
    path = tmp_path / "x.csv"
    path.write_bytes("nämé,sex\nZoë,f\n".encode(encoding))
    refused(path, "cannot be read as CSV")


def test_a_parquet_file_whose_text_is_not_utf8_is_refused(tmp_path):
    path = tmp_path / "x.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"sex": pyarrow.array([b"f", b"\xff\xfe"])}), path)
    wrong = pyarrow.array([b"f", b"\xff\xfe"]).cast(pyarrow.string(), safe=False)
    pyarrow.parquet.write_table(pyarrow.table({"sex": wrong}), path)
    refused(path, "its text is not UTF-8")


def test_a_parquet_file_that_claims_more_rows_than_its_bytes_can_tell_apart_is_refused(tmp_path):
    path = tmp_path / "x.parquet"
    zeros = np.zeros(2 * MANY_ROWS, dtype=np.int8)
    pyarrow.parquet.write_table(pyarrow.table({"a": zeros}), path, compression="zstd")
    assert path.stat().st_size < 100_000
    refused(path, "says that it has 20,000,000 rows")


def with_header(path, descr, shape, body=b""):
    stream = io.BytesIO()
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}}}".ljust(117) + "\n"
    stream.write(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + body)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", stream.getvalue())


@pytest.mark.parametrize(
    ("descr", "shape", "body", "message"),
    [
        ("<f8", "(10000000000000,)", b"", "cannot be read as NPZ"),
        ("<f8", "(-1,)", b"", "cannot be read as NPZ"),
        ("nonsense", "(1,)", b"", "cannot be read as NPZ"),
        ("<c16", "(1,)", bytes(16), "not of numbers, booleans or text"),
        ("<U1", "(1,)", b"\x00\xd8\x00\x00", "not Unicode"),
        ("<U1", "(1,)", b"\xff\xff\xff\x7f", "not Unicode"),
        (">U1", "(1,)", b"\x00\x11\x00\x00", "not Unicode"),
        ("|S2", "(1,)", b"\xff\xfe", "not UTF-8"),
        ("<U1", "(2, 1)", b"a\0\0\0b\0\0\0", r"is text \(2, 1\)"),
    ],
)
def test_an_array_of_odd_type_shape_or_text_is_refused(tmp_path, descr, shape, body, message):
    with_header(tmp_path / "x.npz", descr, shape, body)
    refused(tmp_path / "x.npz", message)


def test_damaged_deflate_data_is_refused(tmp_path):
    path = tmp_path / "x.npz"
    np.savez_compressed(path, a=np.random.default_rng(0).normal(size=1000))
    content = bytearray(path.read_bytes())
    content[60:64] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    refused(path, "cannot be read as NPZ")


def test_an_array_that_grows_beyond_all_measure_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "x.npz"
    np.savez_compressed(path, a=np.zeros(1 << 29, dtype=np.int8))
    with pytest.raises(NpzError, match=r"grows from .* to 536,871,040 bytes"):
        read_npz(path, everything)


@pytest.mark.parametrize("name", ["x.csv", "x.parquet", "x.npz"])
def test_what_is_no_file_is_no_table(tmp_path, name):
    (tmp_path / name).mkdir()
    refused(tmp_path / name, "no data file")
    assert read_blobs(tmp_path / name, "a") is None
