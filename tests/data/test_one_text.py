"""One table, whoever wrote it in whatever format, gives one set of codes, groups, labels and hashes."""

import re
import tempfile
from pathlib import Path

import numpy as np
import pandas
import pyarrow
import pyarrow.csv
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefair.data.config import DataConfig
from edgefair.data.dataset import load
from edgefair.probe.dates import plain_date
from edgefair.probe.features import plain_text, value_text
from edgefair.probe.onnx_files.spec import UNSEEN, Column, InputSpec, ModelSpec, Reading, category_codes, encode

CELLS = {
    "text": st.sampled_from(["a", "true", "NA", "01", "1.10", "2020-01-01"]),
    "code": st.sampled_from(["01", "02", "10"]),
    "flag": st.booleans(),
    "count": st.none() | st.integers(0, 3),
    "level": st.sampled_from([0.5, 1.0, 2.0]),
}
VOCABULARY = ("01", "02", "1", "1.10", "2", "0.5", "10", "NA", "a", "false", "true", "2020-01-01")
SPEC = ModelSpec(
    (InputSpec("c", "int32", tuple(Column(name, VOCABULARY) for name in CELLS)),), Reading("o", "label"), ("0", "1")
)


def pandas_csv(columns, path):
    pandas.DataFrame(columns).to_csv(path, index=False)


def pandas_parquet(columns, path):
    pandas.DataFrame(columns).to_parquet(path)


def arrow_csv(columns, path):
    pyarrow.csv.write_csv(pyarrow.table(columns), path)


def arrow_parquet(columns, path):
    pyarrow.parquet.write_table(pyarrow.table(columns), path)


WRITERS = {
    "pandas.csv": pandas_csv,
    "pandas.parquet": pandas_parquet,
    "arrow.csv": arrow_csv,
    "arrow.parquet": arrow_parquet,
}


def read(folder, name):
    config = DataConfig.model_validate(
        {
            "source": name,
            "label": "y",
            "positive": True,
            "sensitive": ["sex"],
            "features": list(CELLS),
            "split": {"column": "part", "train": [1], "validation": [3], "audit": [2]},
        }
    )
    return load(config, base=folder, roles=("audit",), categories=CELLS)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(*CELLS.values()), min_size=1, max_size=8))
def test_every_writer_gives_the_same_codes_whatever_else_is_in_the_column(rows):
    n = len(rows)
    columns = {name: list(cells) for name, cells in zip(CELLS, zip(*rows, strict=True), strict=True)}
    raw = {name: [*cells] for name, cells in columns.items()}
    # Three rows that only train: what audits must not be read otherwise for what they hold.
    more = {"text": "x", "code": "A1", "flag": True, "count": 7, "level": 9.0}
    columns = {name: [*cells, more[name], more[name], more[name]] for name, cells in columns.items()}
    columns |= {
        "y": [*(row % 2 == 0 for row in range(n)), True, False, True],
        "sex": [*(row % 3 for row in range(n)), 0, 1, 2],
        "part": [2] * n + [1, 1, 3],
    }
    with tempfile.TemporaryDirectory() as folder:
        found = {}
        for name, write in WRITERS.items():
            write(columns, Path(folder) / name)
            audit = read(Path(folder), name).audit
            codes = next(audit.inputs(SPEC, 100))["c"]
            found[name] = codes
            assert np.array_equal(codes, encode(raw, SPEC.inputs[0])), name
            assert audit.label.tolist() == [int(row % 2 == 0) for row in range(n)]
            assert audit.sensitive["sex"].text() == [str(row % 3) for row in range(n)]
            assert audit.fingerprint == read(Path(folder), "pandas.csv").audit.fingerprint, name
    counts = [value for value in raw["count"] if value is not None and value != 0 and value != 3]
    assert np.count_nonzero(found["arrow.csv"][:, 3] != UNSEEN) == len(counts)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *(
            (True, "True"),
            (np.True_, "True"),
            (1, "1"),
            (1.0, "1"),
            (-0.0, "0"),
            (1.5, "1.5"),
            (np.float32(0.1), "0.1"),
        ),
        *(
            (np.float32(0.1), "0.1"),
            (float("nan"), None),
            (None, None),
            ("", None),
            ("1.0", "1.0"),
            (1e20, "1e+20"),
            (2**60, str(2**60)),
        ),
    ],
)
def test_a_value_has_one_text(value, text):
    assert value_text(value) == text


def test_the_spellings_of_one_value_are_one_and_no_others():
    assert [plain_text(item) for item in ("true", "TRUE", "1.0", "-0.0", "-3.0")] == ["True", "True", "1", "0", "-3"]
    for own in ("01", "1.10", "1.00", "01.0", "tRue", "yes", "1e3", "A1.0", ""):
        assert plain_text(own) == own


SPELLINGS = (
    st.text() | st.text("01239.-/: TZ+²٣", max_size=12) | st.sampled_from(["true", "TRUE", "false", "FALSE", "1.0\n"])
)


@settings(max_examples=500)
@given(SPELLINGS)
def test_a_text_is_another_spelling_only_where_it_is_a_boolean_a_whole_number_or_a_date_as_a_whole(text):
    booleans = {"true": "True", "TRUE": "True", "false": "False", "FALSE": "False"}
    whole = re.fullmatch(r"(-?(?:0|[1-9][0-9]*))\.0", text)
    number = None if whole is None else "0" if whole[1] == "-0" else whole[1]
    assert plain_text(text) == (number or booleans.get(text) or plain_date(text) or text)


@pytest.mark.parametrize("given_", [["true", True, "True"], [1, "1", 1.0, np.int64(1), np.float32(1)], ["1.0", 1]])
def test_a_device_answers_alike_for_every_spelling(given_):
    for vocabulary in (("1", "false", "true"), ("1.0", "False", "True")):
        codes = encode({"a": given_}, InputSpec("c", "int32", (Column("a", vocabulary),)))
        assert len(np.unique(codes)) == 1
        assert codes[0, 0] != UNSEEN


def test_a_vocabulary_with_two_spellings_takes_each_to_the_letter_and_guesses_none():
    vocabulary = ("1", "1.0", "True", "true")
    assert category_codes(["1", "1.0", "true", "True", "TRUE"], vocabulary).tolist() == [0, 1, 3, 2, UNSEEN]


def test_a_number_with_leading_zeros_is_text_and_numbers_of_csv_stay_numbers(tmp_path):
    (tmp_path / "p.csv").write_text(
        "zip,age,y,sex,part\n01234,30,a,F,1\n99999, 40,b,M,1\n12345,50,b,M,3\n01235,60.5,a,F,2\n"
    )
    split = {"column": "part", "train": [1], "validation": [3], "audit": [2]}
    config = {"source": "p.csv", "label": "y", "positive": "a", "sensitive": ["sex"], "split": split}
    audit = load(DataConfig.model_validate(config), base=tmp_path, roles=("audit",)).audit
    assert audit.table.columns["zip"].text() == ["01235"]
    assert audit.table.columns["age"].tolist() == [60.5]
