"""One table in the form of every writer: trained on one of them, it is decided alike from all, and on the device."""

import csv
import datetime as dt
import json
import re
import shutil
from decimal import Decimal

import numpy as np
import onnxruntime
import pandas
import pyarrow
import pyarrow.csv
import pyarrow.parquet
import pytest

from edgefair.config import load_config
from edgefair.data.dataset import load
from edgefair.probe.bundles.runtime import load as load_bundle
from edgefair.training.features import spec_for
from edgefair.training.run import load_run
from edgefair.workflow.models.vocabulary import categories_of
from tests.e2e.commands import run

polars = pytest.importorskip("polars")
ROWS = 1200
TRAIN, AUDIT = dt.date(2024, 1, 31), dt.date(2024, 2, 29)
CONFIG = """\
project: forms
data:
  source: pandas.parquet
  label: hired
  positive: true
  sensitive: [sex]
  id: seen
  subject: person
  categorical: [level]
  exclude: [note]
  equal_rows: people
  split: {column: wave, train: [2024-01-31], audit: [2024-02-29]}
model: {options: {hidden: [16]}}
train: {epochs: 8, batch_rows: 64, learning_rate: 0.02}
policy:
  max_eo_gap: 0.9
  attributes:
    sex: {groups: [female, male]}
"""
LEARNED = ("pay", "member", "level", "job", "code")
FEATURES = ("pay", "count", "member", "code", "level", "job")


def table():
    """Columns of Python values; None where there is none. `note` is nothing that anybody should look at."""
    rng = np.random.default_rng(0)
    columns = {
        "pay": [Decimal(int(cents)) / 100 for cents in rng.integers(100_000, 999_999, ROWS)],
        "count": rng.integers(0, 9, ROWS).tolist(),
        "member": [[True, False, None][item] for item in rng.integers(0, 3, ROWS)],
        "code": rng.choice(["01", "1", "1.10", "NA"], ROWS).tolist(),
        "level": [[1, 2, 3, None][item] for item in rng.integers(0, 4, ROWS)],
        "job": rng.choice(["Bäcker", "Koch; Kellner", 'the "boss"', "true"], ROWS).tolist(),
        "sex": rng.choice(["female", "male"], ROWS).tolist(),
        "wave": [TRAIN if row % 3 else AUDIT for row in range(ROWS)],
        # Some are midnights.
        "seen": [dt.datetime(2024, 1, 1) + dt.timedelta(minutes=30 * row) for row in range(ROWS)],
        "person": [2**63 + row for row in range(ROWS)],
    }
    columns["hired"] = [
        (pay > 5000) + (member is True) + (level == 2) + (job == "Bäcker") + (code == "01") >= 2
        for pay, member, level, job, code in zip(*(columns[name] for name in LEARNED), strict=True)
    ]
    return columns


def typed(columns):
    """As a `pyarrow.Table` with the types that a database gives."""
    kinds = {
        "pay": pyarrow.decimal128(9, 2),
        "wave": pyarrow.date32(),
        "seen": pyarrow.timestamp("ns"),
        "person": pyarrow.uint64(),
    }
    return pyarrow.table({name: pyarrow.array(cells, kinds.get(name)) for name, cells in columns.items()})


def stored(columns):
    """The same, stored in other ways, and with a type that nobody can read."""
    made = dict(zip(columns, typed(columns).columns, strict=True))
    for name in ("job", "level", "member", "sex", "hired"):
        made[name] = made[name].dictionary_encode()
    made["code"] = made["code"].cast(pyarrow.string_view())
    return pyarrow.table(made | {"note": pyarrow.array([dt.timedelta(1)] * ROWS)})


def framed(columns, level):
    frame = pandas.DataFrame({name: pandas.Series(cells, dtype=object) for name, cells in columns.items()})
    frame = frame.astype({"job": "category", "level": level, "person": "uint64", "hired": bool})
    return frame.assign(
        seen=pandas.to_datetime(frame["seen"]), wave=pandas.to_datetime(frame["wave"]), note=["01/02/2024"] * ROWS
    )


def in_polars(columns):
    frame = polars.DataFrame(columns, schema_overrides={"person": polars.UInt64, "pay": polars.Decimal(9, 2)})
    return frame.with_columns(polars.col("job").cast(polars.Categorical), note=polars.lit("1,5"))


def excel(path, columns, *, separator, encoding, decimal, day, moment):
    """As Excel saves what it shows: in the manner of the country."""

    def shown(value):
        if isinstance(value, bool):
            return str(value).upper()
        if isinstance(value, dt.datetime):
            return value.strftime(moment)
        if isinstance(value, dt.date):
            return value.strftime(day)
        # Excel has one kind of number and shows no zeros behind its fraction.
        return f"{value.normalize():f}".replace(".", decimal) if isinstance(value, Decimal) else value

    with path.open("w", encoding=encoding, newline="") as stream:
        writer = csv.writer(stream, delimiter=separator, lineterminator="\r\n")
        # Two columns without a name: cells on the right that were once used.
        writer.writerow([*columns, "note", "", ""])
        writer.writerows([*map(shown, row), "1,5", "", ""] for row in zip(*columns.values(), strict=True))


GERMAN = {"separator": ";", "encoding": "utf-8-sig", "decimal": ",", "day": "%d.%m.%Y", "moment": "%d.%m.%Y %H:%M"}
AMERICAN = {"separator": ",", "encoding": "cp1252", "decimal": ".", "day": "%m/%d/%Y", "moment": "%m/%d/%Y %H:%M"}
FORMS = {
    "pandas.parquet": lambda path, c: framed(c, "Int64").to_parquet(path),
    "pandas.csv": lambda path, c: framed(c, "Int64").to_csv(path, index=False),
    "floats.parquet": lambda path, c: framed(c, "float64").to_parquet(path),
    "floats.csv": lambda path, c: framed(c, "float64").to_csv(path, index=False),
    "arrow.parquet": lambda path, c: pyarrow.parquet.write_table(stored(c), path),
    "arrow.csv": lambda path, c: pyarrow.csv.write_csv(typed(c).append_column("note", [["x"] * ROWS]), path),
    "polars.parquet": lambda path, c: in_polars(c).write_parquet(path),
    "polars.csv": lambda path, c: in_polars(c).write_csv(path),
    "german.csv": lambda path, c: excel(path, c, **GERMAN),
    "american.csv": lambda path, c: excel(path, c, **AMERICAN),
}
# What a form needs to be told of beside its name.
NO_NAME = {"data.exclude": ["note", ""]}
TOLD = {
    "german.csv": NO_NAME | {"data.csv.decimal": ","},
    "american.csv": NO_NAME | {"data.csv.encoding": "cp1252", "data.csv.dates": "month-first"},
}


def flags(form, changes):
    """How a command is told of a form."""
    given = {"data.source": form, **changes}
    return [item for key, value in given.items() for item in ("--set", f"{key}={json.dumps(value)}")]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The table in every form, and a bundle that was trained on the first; not to be written to."""
    folder = tmp_path_factory.mktemp("forms")
    for form, write in FORMS.items():
        write(folder / form, table())
    # What nobody reads may be in any encoding.
    path = folder / "pandas.csv"
    path.write_bytes(path.read_bytes().replace(b"01/02/2024", b"M\xfcll"))
    (folder / "edgefair.yaml").write_text(CONFIG)
    for command in (("train", "--name", "first"), ("export", "--run", "first", "--no-latency")):
        result = run(*command, "-c", folder / "edgefair.yaml")
        assert result.exit_code == 0, result.output
    return folder


def dataset(project, form):
    config = load_config(project / "edgefair.yaml", {"data.source": form, **TOLD.get(form, {})})
    known = categories_of(load_run(project / "runs" / "first").spec)
    return load(config.data, base=project, roles=("train", "validation", "audit"), categories=known)


def decisions(project, form):
    """Row id -> decision, of the bundle's file on the host."""
    audit = dataset(project, form).audit
    spec = load_run(project / "runs" / "first").spec
    (inputs,) = audit.inputs(spec, len(audit))
    session = onnxruntime.InferenceSession(next((project / "dist").glob("*/model.onnx")))
    decided = session.run([spec.reading.output], inputs)[0].ravel().tolist()
    return dict(zip(audit.ids.text(), decided, strict=True))


def test_a_model_needs_the_columns_that_forms_write_otherwise(project):
    """Else equal decisions would say nothing."""
    decided = decisions(project, "pandas.parquet")
    rows = {f"{seen:%Y-%m-%d %H:%M:%S}".removesuffix(" 00:00:00"): row for row, seen in enumerate(table()["seen"])}
    hired = table()["hired"]
    right = [hired[rows[name]] == bool(decision) for name, decision in decided.items()]
    assert np.mean(right) > 0.93
    assert len(decided) == ROWS // 3


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_same_rows_to_training_and_to_the_verdict(project, form):
    first, data = dataset(project, "pandas.parquet"), dataset(project, form)
    model = load_config(project / "edgefair.yaml").model
    assert spec_for(data, model) == spec_for(first, model)
    for role in ("train", "validation", "audit"):
        own, other = data.splits[role], first.splits[role]
        assert own.ids.text() == other.ids.text()
        assert own.subject.text() == other.subject.text()
        assert np.array_equal(own.row_hashes, other.row_hashes)
    assert decisions(project, form) == decisions(project, "pandas.parquet")


def verified(project, form):
    given = ("--no-latency", "--json", "-c", project / "edgefair.yaml", *flags(form, TOLD.get(form, {})))
    result = run("verify", *given)
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert not any("does not know" in note for note in report["notes"])
    return report["targets"][0]["counts"]


@pytest.fixture(scope="module")
def counted(project):
    return verified(project, "pandas.parquet")


@pytest.mark.parametrize("form", [form for form in FORMS if form != "pandas.parquet"])
def test_every_form_is_verified_with_equal_counts(project, counted, form):
    assert verified(project, form) == counted


@pytest.mark.parametrize("form", ["german.csv", "polars.parquet"])
def test_a_model_trained_on_another_form_is_the_same_model(project, form, tmp_path):
    shutil.copytree(project, tmp_path / "p", ignore=shutil.ignore_patterns("dist", "runs"))
    given = ("--name", "other", "-c", tmp_path / "p" / "edgefair.yaml", *flags(form, TOLD.get(form, {})))
    assert run("train", *given).exit_code == 0
    one, other = load_run(project / "runs" / "first"), load_run(tmp_path / "p" / "runs" / "other")
    assert other.spec == one.spec
    weights = [next(item.folder.glob("*.safetensors")).read_bytes() for item in (one, other)]
    assert weights[0] == weights[1]


def audit_rows():
    columns = table()
    rows = [row for row in range(ROWS) if columns["wave"][row] == AUDIT]
    return {name: [columns[name][row] for row in rows] for name in FEATURES}


def spelled(flag, number, none=None):
    """The audit rows with booleans and whole categories as a caller may have them."""
    rows = audit_rows()
    rows["member"] = [none if cell is None else flag(cell) for cell in rows["member"]]
    rows["level"] = [none if cell is None else number(cell) for cell in rows["level"]]
    return rows


def of_frames(folder, form):
    read = pandas.read_parquet if form.startswith(("pandas", "floats", "arrow")) else polars.read_parquet
    frame = read(folder / form, columns=[*FEATURES, "wave"])
    rows = [row for row, wave in enumerate(frame["wave"]) if str(wave)[:10] == str(AUDIT)]
    return {name: frame[name][rows] for name in FEATURES}


CALLERS = {
    "python": lambda _: audit_rows(),
    "json": lambda _: spelled(lambda cell: str(cell).lower(), float, float("nan")),
    "excel": lambda _: spelled(lambda cell: str(cell).upper(), str, ""),
    "csv of floats": lambda _: spelled(str, lambda cell: f"{cell:.1f}", ""),
    "numpy": lambda _: spelled(np.bool_, np.int16, np.datetime64("NaT")),
    "numpy floats": lambda _: (
        spelled(np.bool_, np.float32, np.float32("nan"))
        | {
            "pay": np.array([float(cell) for cell in audit_rows()["pay"]]),
            "count": np.array(audit_rows()["count"], "u1"),
        }
    ),
    "decimals": lambda _: spelled(bool, Decimal, Decimal("nan")),
    "pandas": lambda folder: of_frames(folder, "pandas.parquet"),
    "pandas floats": lambda folder: of_frames(folder, "floats.parquet"),
    "arrow to pandas": lambda folder: of_frames(folder, "arrow.parquet"),
    "polars": lambda folder: of_frames(folder, "polars.parquet"),
}


@pytest.mark.parametrize("caller", CALLERS)
def test_the_device_decides_every_spelling_of_a_row_as_the_audit_did(project, caller):
    model = load_bundle(next((project / "dist").iterdir()))
    expected = [model.classes[decision] for decision in decisions(project, "pandas.parquet").values()]
    assert model.predict(CALLERS[caller](project)).decision == expected


def test_the_device_tells_a_code_from_a_number(project):
    model = load_bundle(next((project / "dist").iterdir()))
    rows = {name: cells[:40] * 4 for name, cells in audit_rows().items()}
    rows["code"] = [code for code in ("01", "1", 1, Decimal(1)) for _ in range(40)]
    decided = np.array(model.predict(rows).decision).reshape(4, 40)
    assert (decided[0] != decided[1]).any()
    assert (decided[1:] == decided[1]).all()


@pytest.mark.parametrize(
    ("form", "changes", "message"),
    [
        ("german.csv", NO_NAME, "column 'pay' holds numbers as '.*,.*', and the decimal sign is '.'"),
        ("american.csv", NO_NAME, "not UTF-8"),
        ("american.csv", NO_NAME | {"data.csv.encoding": "cp1252"}, "the order of day and month is ambiguous"),
    ],
)
def test_what_cannot_be_read_without_guessing_is_refused(project, form, changes, message):
    result = run("verify", "-c", project / "edgefair.yaml", *flags(form, changes))
    assert result.exit_code == 2
    assert re.search(message, result.output)


def test_a_date_is_no_feature_in_any_form_unless_it_is_named(project):
    for form in FORMS:
        changes = {"data.id": None, **TOLD.get(form, {})}
        result = run("verify", "-c", project / "edgefair.yaml", *flags(form, changes))
        assert result.exit_code == 2, form
        assert "column 'seen'" in result.output, form
