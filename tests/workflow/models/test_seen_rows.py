"""A verdict says what is known of the rows that a model has seen, and is not taken on them."""

import numpy as np
import pytest

from edgefair.errors import DataError
from edgefair.workflow.models.seen import NONE_KNOWN, UNKNOWN, Seen, check_rows
from tests.targets.onnx_models import SPEC
from tests.workflow.small_project import columns_of, project


def test_of_a_model_that_was_there_the_rows_of_the_config_are_known_and_that_others_are_not_is_said(tmp_path):
    config, data = project(tmp_path)
    seen = Seen.by_config(data, SPEC)
    assert seen.notes == (UNKNOWN,)
    assert check_rows(config, data, seen) == (UNKNOWN,)


def test_without_training_rows_nothing_is_known(tmp_path):
    _, data = project(tmp_path, data={"split": {"audit_fraction": 1}})
    assert Seen.by_config(data, SPEC).notes == (NONE_KNOWN,)


def test_audit_rows_that_a_model_has_seen_are_no_audit(tmp_path):
    columns = columns_of()
    part = columns["part"]
    train, audit = np.flatnonzero(part == "train"), np.flatnonzero(part == "audit")
    copied = min(len(train), len(audit))
    for name in ("a", "b", "sex", "hired"):
        columns[name][audit[:copied]] = columns[name][train[:copied]]
    config, data = project(tmp_path, columns)
    with pytest.raises(DataError, match="audit rows"):
        check_rows(config, data, Seen.by_config(data, SPEC))


def test_copies_that_are_left_out_are_told(tmp_path):
    columns = columns_of()
    audit = np.flatnonzero(columns["part"] == "audit")
    for name in ("a", "b", "sex", "hired"):
        columns[name][audit[1]] = columns[name][audit[0]]
    config, data = project(tmp_path, columns, data={"equal_rows": "once"})
    notes = check_rows(config, data, Seen.by_config(data, SPEC))
    assert "1 audit rows are copies of others (data.equal_rows: once) and were dropped" in notes
    assert len(data.audit) == len(audit) - 1
