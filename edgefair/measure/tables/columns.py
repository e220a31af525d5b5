"""Columns of labels, decisions and groups, and the counts of their combinations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgefair.columns.stored import SLICE, slices
from edgefair.errors import DataError
from edgefair.joint import Group
from edgefair.probe.features import plain_text


class Coded(Protocol):
    """A column of text as codes into its distinct values (edgefair.data.files.table.Categories is one)."""

    @property
    def values(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def codes(self) -> NDArray[np.int32]: ...  # noqa: D102


def count(
    attributes: Mapping[str, Coded | ArrayLike], axes: Iterable[tuple[str, ArrayLike]], classes: Sequence[str]
) -> tuple[tuple[Group, ...], NDArray[np.int64]]:
    """Groups that have rows, and their counts int64 [groups, classes, ...], one axis of classes per entry of `axes`."""
    if not attributes:
        raise DataError("no sensitive attribute to count by", expected="at least one")
    columns = [index_of(name, values, len(classes)) for name, values in axes]
    coded = [_coded(name, column) for name, column in attributes.items()]
    lengths = {len(codes) for _, codes in coded} | {len(column) for column in columns}
    if len(lengths) != 1:
        raise DataError(f"columns of unequal length: {sorted(lengths)} rows")
    rows = lengths.pop()
    joint_size = int(np.prod([len(values) for values, _ in coded], dtype=np.int64))
    groups = [(codes, len(values)) for values, codes in coded]
    axes_of = [(column, len(classes)) for column in columns]
    if joint_size > 4 * rows + 4096:
        present, group = np.unique(_joint(groups, slice(0, rows)), return_inverse=True)
        groups = [(group, len(present))]
    else:
        present = np.arange(joint_size)
    shape = (len(present), *[len(classes)] * len(columns))
    cells = int(np.prod(shape))
    table = np.zeros(cells, dtype=np.int64)
    # Of many cells as many rows at a time, lest adding them up takes longer than counting.
    for part in slices(rows, *(codes for codes, _ in groups), *columns, size=max(SLICE, cells)):
        table += np.bincount(_joint([*groups, *axes_of], part), minlength=cells)
    table = table.reshape(shape)
    filled = np.flatnonzero(table.reshape(len(present), -1).any(axis=1))
    names = [_name(int(present[index]), [values for values, _ in coded]) for index in filled]
    order = sorted(range(len(names)), key=names.__getitem__)
    return tuple(names[index] for index in order), table[filled[order]]


def _joint(columns: Iterable[tuple[NDArray[np.integer[Any]], int]], part: slice) -> NDArray[np.int64]:
    """One code of several of some rows, the last varying fastest: int64 [rows of the part]."""
    cell = np.zeros(part.stop - part.start, dtype=np.int64)
    for codes, size in columns:
        cell *= size
        cell += codes[part]
    return cell


def _name(code: int, values: list[tuple[str, ...]]) -> Group:
    parts = []
    for names in reversed(values):
        code, position = divmod(code, len(names))
        parts.append(names[position])
    return tuple(reversed(parts))


def index_of(name: str, values: ArrayLike, classes: int) -> NDArray[np.int64]:
    """A column of class indices, checked: int64 [rows].

    Raises:
        DataError: not whole numbers, or outside the classes.
    """
    array = np.asarray(values)
    if array.ndim != 1:
        raise DataError(f"{name} has shape {array.shape}", expected="[rows]")
    if array.dtype.kind not in "iub" and not (array.dtype.kind == "f" and bool(np.all(array == np.floor(array)))):
        raise DataError(f"{name} holds {array.dtype} values that are not class indices", expected="whole numbers")
    index = array.astype(np.int64, copy=False)
    least, most = 0, classes - 1
    for part in slices(len(index), index):
        least, most = min(least, int(index[part].min())), max(most, int(index[part].max()))
    if least < 0 or most >= classes:
        raise DataError(f"{name} holds {index.min()} to {index.max()}", expected=f"0 to {classes - 1}")
    return index


def _coded(name: str, column: Coded | ArrayLike) -> tuple[tuple[str, ...], NDArray[np.integer[Any]]]:
    if hasattr(column, "values") and hasattr(column, "codes"):
        values, codes = tuple(column.values), np.asarray(column.codes)
    else:
        array = np.asarray(column)
        if array.dtype.kind == "U" and not isinstance(column, np.ndarray):
            # Arrays of text end at a NUL, and so make one group of two.
            array = np.asarray(column, dtype=object)
        values, codes = _encode_text(name, array)
    missing = sum(int(np.count_nonzero(codes[part] < 0)) for part in slices(len(codes), codes))
    if missing:
        raise DataError(f"attribute '{name}' has no value in {missing} rows", expected="a group for every row")
    return values, codes


def _encode_text(name: str, array: NDArray[Any]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    if array.ndim != 1:
        raise DataError(f"attribute '{name}' has shape {array.shape}", expected="[rows]")
    if array.dtype.kind == "f":
        raise DataError(f"attribute '{name}' holds fractions", expected="text or whole numbers")
    if array.dtype.kind in "OUS":
        items = array.tolist()
        values, codes = _distinct(items)
        if not all(isinstance(value, str) for value in values):
            values, codes = _distinct([_text(name, item) for item in items])
        # In the spelling that the policy has them in.
        texts, position = _distinct([plain_text(str(value)) for value in values])
        return texts, position[codes]
    unique, inverse = np.unique(array, return_inverse=True)
    return tuple(str(item) for item in unique.tolist()), inverse.astype(np.int64)


def _distinct(items: list[Any]) -> tuple[tuple[Any, ...], NDArray[np.int64]]:
    """The distinct items in the order of their first rows, and every row's."""
    index: dict[Any, int] = {}
    codes = np.fromiter((index.setdefault(item, len(index)) for item in items), dtype=np.int64, count=len(items))
    return tuple(index), codes


def _text(attribute: str, item: Any) -> str:
    """The text of a value, which is the group: 1 and "1" are one group, 1 and True are two, as when a table is read."""
    if item is None or item != item:  # noqa: PLR0124
        raise DataError(f"attribute '{attribute}' has rows without a value", expected="a group for every row")
    try:
        return item.decode() if isinstance(item, bytes) else str(item)
    except UnicodeDecodeError as error:
        raise DataError(f"attribute '{attribute}' holds {item!r}", expected="text in UTF-8") from error
