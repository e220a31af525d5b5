"""The bytes of a file when packed are those of zlib in one piece."""

import zlib

import numpy as np

from edgefair import files
from edgefair.files import packed_bytes


def test_packed_bytes_are_those_of_the_whole_file_deflated_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "PIECE", 1000)
    weights = np.random.default_rng(0).normal(size=5000).astype("<f4")
    for name, content in (("dense", weights), ("sparse", np.where(np.arange(5000) % 5, 0, weights)), ("empty", b"")):
        path = tmp_path / name
        path.write_bytes(bytes(content))
        assert packed_bytes(path) == len(zlib.compress(bytes(content), 9))
    assert packed_bytes(tmp_path / "sparse") < packed_bytes(tmp_path / "dense") / 2
