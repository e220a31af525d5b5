"""The embedded set, as published."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgefair.data.config import DataConfig
from edgefair.data.dataset import load
from edgefair.data.files.table import Categories, Table
from edgefair.data.identity.overlap import check_overlap
from edgefair.data.identity.seen import SeenRows
from edgefair.errors import DataError
from edgefair.probe.onnx_files.spec import encode
from edgefair.training.features import spec_for
from edgefair.training.settings import ModelConfig


@pytest.fixture(scope="module")
def census():
    config = DataConfig(source="census-income")
    return load(config, base=Path(), roles=["train", "validation", "audit"])


def test_the_published_split_and_counts_are_kept(census):
    assert len(census.train) + len(census.validation) == 199_523
    assert len(census.audit) == 99_762
    sex, label = census.audit.sensitive["sex"], census.audit.label
    women = sex.codes == sex.values.index("Female")
    assert (int(women.sum()), int((~women).sum())) == (51_791, 47_971)
    assert (int(label[women].sum()), int(label[~women].sum())) == (1_305, 4_881)
    assert census.classes == ("-50000", "50000+")


def test_the_model_never_sees_sex_race_or_the_survey_weight(census):
    assert not {"sex", "race", "instance_weight", "income", "split"} & set(census.features)
    assert len(census.features) == 38


def test_encoding_by_codes_equals_encoding_the_raw_answers(census):
    spec = spec_for(census, ModelConfig())
    audit = census.audit.take(np.arange(0, len(census.audit), 7))
    columns = {name: audit.table.columns[name] for name in audit.features}
    raw = {name: c.text() if isinstance(c, Categories) else c for name, c in columns.items()}
    batches = list(audit.inputs(spec, 4096))
    for item in spec.inputs:
        assert np.array_equal(np.concatenate([batch[item.name] for batch in batches]), encode(raw, item))


def test_the_text_na_of_the_original_files_is_an_answer_and_not_a_gap(census):
    origin = [rows.table.columns["hispanic_origin"].text().count("NA") for rows in census.splits.values()]
    assert sum(origin) == 1_279
    columns = [c for rows in census.splits.values() for c in rows.table.columns.values() if isinstance(c, Categories)]
    assert sum(column.missing() for column in columns) == 0


def test_no_table_reader_is_imported_before_a_table_is_read():
    code = "import sys, edgefair.data.identity.overlap, edgefair.report.results.data; print('pyarrow' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "False"


def test_people_share_all_answers_as_often_across_the_split_as_within_it(census):
    overlap = check_overlap(SeenRows.of([census.train, census.validation], census.features), census.audit)
    assert overlap.shared / overlap.audit_rows == pytest.approx(overlap.train_twins, abs=0.01)
    assert overlap.both_sides == pytest.approx(overlap.by_chance, rel=0.01)
    assert "not a leak" in overlap.note


def test_a_thousand_training_rows_in_the_audit_set_are_a_leak_all_the_same(census):
    rng = np.random.default_rng(0)
    taken = census.train.take(rng.choice(len(census.train), 1000, replace=False))
    with pytest.raises(DataError, match="audit rows equal a training row in every feature"):
        check_overlap(
            SeenRows.of([census.train, census.validation], census.features),
            joined(taken, census.audit.take(np.arange(1000, 99_762))),
        )


def joined(one, other):
    """The rows of both; splits of one data set share the coding of their texts."""
    columns = {}
    for name, column in one.table.columns.items():
        more = other.table.columns[name]
        if isinstance(column, Categories):
            columns[name] = Categories(column.values, np.concatenate([column.codes, more.codes]))
        else:
            columns[name] = np.concatenate([column, more])
    sensitive = {name: columns[name] for name in one.sensitive}
    label = np.concatenate([one.label, other.label])
    return replace(one, table=Table(columns), label=label, sensitive=sensitive)
