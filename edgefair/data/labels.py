"""Labels and sensitive groups, as the config declares them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefair.columns.stored import slices, stored
from edgefair.data.config import DataConfig
from edgefair.data.files.table import Categories, Column
from edgefair.data.survey.suspects import are_measurements
from edgefair.data.values import declared
from edgefair.errors import DataError, did_you_mean


def classes_of(config: DataConfig, labels: Categories) -> tuple[str, ...]:
    """The labels in the order of the model's classes.

    Raises:
        DataError: one label only, or others than the config says.
    """
    found = labels.present
    if not found and config.classes is None:
        raise DataError(f"column '{config.label}' has no label in any row", fix="list the labels under data.classes")
    if len(found) < 2 and not (config.classes and labels.missing()):
        raise DataError(
            f"label '{config.label}' has only one value: {', '.join(found)}",
            expected="at least two; equalized odds compares rates within each label",
        )
    if config.classes is not None:
        unknown = [value for value in found if value not in config.classes]
        if unknown:
            raise DataError(
                f"label '{config.label}' holds '{unknown[0]}', which data.classes does not list",
                expected=f"one of {', '.join(config.classes)}",
            )
        return config.classes
    if config.positive is None:
        if len(found) == 2:
            raise DataError(
                f"label '{config.label}' holds {found[0]} and {found[1]}, and the positive class is not specified",
                fix=f"set data.positive, for example to '{found[1]}'",
            )
        return found
    if config.positive not in found:
        raise DataError(
            f"label '{config.label}' is never '{config.positive}'{did_you_mean(config.positive, found)}",
            expected=f"data.positive to be one of {', '.join(found[:20])}",
        )
    if len(found) > 2:
        raise DataError(
            f"label '{config.label}' has {len(found)} values, and data.positive is for two",
            fix="list data.classes instead",
        )
    return tuple(sorted(found, key=lambda value: value == config.positive))


def check_labelled(
    config: DataConfig, label: NDArray[np.signedinteger[Any]], *, rows: str = "rows", designed: bool = False
) -> None:
    """Refuse rows without a label.

    Args:
        label: negative where there is none, whole numbers [rows].
        rows: which rows they are, for the message.
        designed: whether a label design says of other rows why they have none.

    Raises:
        DataError: says how many there are.
    """
    missing = sum(int(np.count_nonzero(label[part] < 0)) for part in slices(len(label), label))
    if missing:
        raise DataError(
            f"column '{config.label}' has no label in {missing} {rows}",
            expected="a label in every row"
            + (": data.label_design lets audit rows lack one, for `verify` and `export`" if designed else ""),
            fix="remove those rows before the audit, and document it; or choose which audit rows to label with "
            "`edgefair plan --label-budget`, so that the others may stay without one",
        )


def check_learnable(
    config: DataConfig, train: NDArray[np.int64], audit: NDArray[np.int64], classes: tuple[str, ...]
) -> None:
    """Refuse a class that audits and that no training row has: no model can learn what it was never shown.

    Where no row trains, other rows did, elsewhere.
    """
    if not len(train):
        return
    audited, trained = _times(audit, classes), _times(train, classes)
    for index in np.flatnonzero((audited > 0) & (trained == 0)).tolist():
        raise DataError(
            f"label '{config.label}' is '{classes[index]}' in {audited[index]} audit rows and in no training row",
            expected="training rows of every class that is judged",
            fix="fix the split, or exclude the class with data.where",
        )


def _times(label: NDArray[np.int64], classes: tuple[str, ...]) -> NDArray[np.int64]:
    """How many rows have each class, int64 [classes]; those without a label, which is -1, have none."""
    total = np.zeros(1 + len(classes), dtype=np.int64)
    for part in slices(len(label), label):
        total += np.bincount(label[part] + 1, minlength=len(total))
    return total[1:]


def label_index(labels: Categories, classes: tuple[str, ...]) -> NDArray[np.int64]:
    """The class of every row, int64 [rows]; -1 where it has no label."""
    position = {value: index for index, value in enumerate(classes)}
    # A missing value has code -1, which picks the last entry.
    index = np.array([*(position.get(value, -1) for value in labels.values), -1], dtype=np.int64)
    rows = len(labels)
    return stored(np.int64, rows, (index[labels.codes[part]] for part in slices(rows, labels.codes)))


def sensitive_groups(name: str, column: Column) -> Categories:
    """The group of every row, in the policy's spelling.

    Raises:
        DataError: a measurement instead of groups, or a row without a group.
    """
    values = declared(column, name)
    if are_measurements(values.values):
        raise DataError(
            f"sensitive column '{name}' holds fractions",
            expected="groups: text, booleans or whole numbers",
            fix="bin it into a column of group names",
        )
    if values.missing():
        raise DataError(
            f"sensitive column '{name}' has no value in {values.missing()} rows",
            expected="a group for every row: a dropped row is a person who is not counted",
            fix="remove those rows, or write a value such as 'unknown' and declare it in the policy",
        )
    return values
