"""Hashes of texts: the value that stands in every bundle and record, made once for all columns that share them."""

import hashlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgefair.columns.stored import SLICE
from edgefair.data.files import text_hashes
from edgefair.data.files.table import MISSING, Categories
from edgefair.data.hashing import hash_categories, hash_rows
from edgefair.probe.features import plain_text

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1) | st.sampled_from(["true", "1.0", "31.01.2024"])


def first_64_bits(text):
    return int.from_bytes(hashlib.blake2b(plain_text(text).encode(), digest_size=8).digest(), "little")


@given(st.lists(TEXTS, unique=True))
def test_the_hash_of_a_text_is_the_first_64_bits_of_blake2b_over_its_one_spelling(texts):
    column = Categories(tuple(texts), np.array([*range(len(texts)), MISSING], dtype=np.int32))
    assert hash_categories(column).tolist() == [*map(first_64_bits, texts), 0]


def test_many_texts_are_hashed_part_by_part():
    texts = [f"row-{number}" for number in range(SLICE + 3)]
    column = Categories(tuple(texts), np.arange(len(texts), dtype=np.int32))
    assert hash_categories(column).tolist() == [*map(first_64_bits, texts)]


def test_columns_that_share_their_texts_hash_each_of_them_once(monkeypatch):
    hashed = []
    monkeypatch.setattr(text_hashes, "plain_text", lambda text: hashed.append(text) or text)
    column = Categories.of(["a", "b", None, "c"])
    one, other = column.take(np.array([0, 2])), column.take(np.array([3, 1]))
    hash_rows({"one": one, "other": other}, rows=2)
    assert hash_categories(one.take(np.array([1, 0]))).tolist() == [0, first_64_bits("a")]
    assert hash_categories(column)[[3, 1]].tolist() == hash_categories(other).tolist()
    assert hashed == ["a", "b", "c"]
