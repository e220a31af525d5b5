"""A date or moment has one text, whoever wrote it; one that nobody can read without guessing has none."""

import datetime as dt
import io
import tempfile
from pathlib import Path

import numpy as np
import pandas
import polars
import pyarrow
import pyarrow.csv
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefair.data.files.csv_table import CsvConfig
from edgefair.data.files.readers import read_table
from edgefair.errors import DataError
from edgefair.probe.dates import is_unclear_date, plain_date, year_first
from edgefair.probe.features import plain_text, value_text

MOMENTS = st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2200, 1, 1)) | st.dates(
    dt.date(1900, 1, 1), dt.date(2200, 1, 1)
).map(lambda day: dt.datetime(day.year, day.month, day.day))
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: dt.timezone(dt.timedelta(minutes=minutes)))


def in_csv(value):
    """What the three libraries write for a moment, alone in its column."""
    arrow, frame = io.BytesIO(), pandas.DataFrame({"x": [value]})
    pyarrow.csv.write_csv(pyarrow.table({"x": [value]}), arrow)
    written = [arrow.getvalue().decode(), frame.to_csv(index=False), polars.DataFrame({"x": [value]}).write_csv()]
    return [text.split("\n")[1].strip('"') for text in written]


@settings(deadline=None)
@given(MOMENTS)
def test_every_library_and_the_device_spell_a_moment_alike(moment):
    spelled = value_text(moment)
    assert {plain_text(text) for text in in_csv(moment)} == {spelled}
    assert value_text(np.datetime64(moment, "us")) == value_text(pandas.Timestamp(moment)) == spelled
    assert plain_text(moment.isoformat()) == spelled == plain_text(spelled)
    assert dt.datetime.fromisoformat(spelled) == moment
    if moment.time() == dt.time():
        assert value_text(moment.date()) == spelled == moment.date().isoformat()


@settings(deadline=None)
@given(MOMENTS, ZONES)
def test_a_moment_with_a_zone_is_told_in_utc_and_is_never_a_date(moment, zone):
    aware = moment.replace(tzinfo=dt.UTC)
    spelled = value_text(aware)
    assert value_text(aware.astimezone(zone)) == spelled
    assert spelled != value_text(moment)
    assert dt.datetime.fromisoformat(spelled) == aware
    assert {plain_text(text) for text in in_csv(aware)} == {spelled}


@given(st.dates(dt.date(1900, 1, 1)))
def test_the_order_of_dots_and_of_a_year_in_front_is_known(day):
    for text in (f"{day:%d.%m.%Y}", f"{day.day}.{day.month}.{day.year}", f"{day:%Y/%m/%d}"):
        assert plain_date(text) == day.isoformat()
    for text in (f"{day:%d.%m.%Y %H:%M}", f"{day:%Y-%m-%d}T00:00:00.000"):
        assert plain_date(text) == day.isoformat()


@given(st.dates(dt.date(1900, 1, 1)))
def test_a_date_with_its_year_at_the_end_is_read_only_by_who_is_told_its_order(day):
    for text in (f"{day:%d/%m/%Y}", f"{day.day}/{day.month}/{day.year}", f"{day:%d-%m-%Y}"):
        assert is_unclear_date(text)
        assert plain_text(text) == text
        assert year_first(text, day_first=True) == day.isoformat()
        assert (year_first(text, day_first=False) == day.isoformat()) == (day.day == day.month)


@pytest.mark.parametrize(
    "text", ["2024-13-01", "2024-02-30", "31.02.2024", "1.2.24", "2024", "2024-01", "24:00", "2024-01-01 25:00", "1.10"]
)
def test_what_is_no_date_stays_as_it_is(text):
    assert plain_date(text) is None
    assert plain_text(text) == text


@pytest.mark.parametrize("text", ["12/34/2024", "00/01/2024", "01/02/24", "1/2", "31.01.2024", "2024/01/02"])
def test_what_is_not_unclear_is_not_called_so(text):
    assert not is_unclear_date(text)


NUMBERS = st.decimals(-(10**9), 10**9, places=2).map(lambda number: number + 0)


@settings(deadline=None)
@given(st.lists(NUMBERS, min_size=1, max_size=5).filter(lambda numbers: any(item % 1 for item in numbers)))
def test_numbers_with_a_comma_are_read_only_by_who_is_told_what_it_is(numbers):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.csv"
        path.write_text("x;y\n" + "".join(f"{format(item, 'f').replace('.', ',')};a\n" for item in numbers))
        with pytest.raises(DataError, match=r"column 'x' holds numbers as '.*,.*', and the decimal sign is '.'"):
            read_table(path, lambda names: names)
        assert set(read_table(path, lambda names: {"y"}).columns) == {"y"}
        read = read_table(path, lambda names: names, csv=CsvConfig(decimal=","))
        assert read.columns["x"].tolist() == [float(item) for item in numbers]


@pytest.mark.parametrize(
    ("cells", "decimal", "refused"),
    [
        (["1,234", "5"], ".", True),
        (["1,234.5", "5"], ".", True),
        (["1.234,5", "5"], ".", True),
        (["1.234,5", "5"], ",", True),
        (["1.5", "5"], ",", True),
        (["1,2", "a"], ".", False),
        (["1.2.3", "1.10.0"], ",", False),
        (["31.01.2024", "01.02.2024"], ",", False),
        (["1,2,3", "1,3,2"], ".", False),
    ],
)
def test_a_sign_that_may_separate_thousands_is_not_guessed_and_lists_and_dates_are_none(
    tmp_path, cells, decimal, refused
):
    path = tmp_path / "x.csv"
    path.write_text("x;y\n" + "".join(f"{cell};a\n" for cell in cells))
    form = CsvConfig(decimal=decimal)
    if refused:
        with pytest.raises(DataError, match="the decimal sign is"):
            read_table(path, lambda names: names, csv=form)
    else:
        assert read_table(path, lambda names: names, csv=form).columns["x"].text() == cells
    coded = read_table(path, lambda names: names, texts=["x"], csv=CsvConfig()).columns["x"]
    assert coded.text() == cells
