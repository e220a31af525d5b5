"""`edgefair init` on files as they come: everything that is in the way at once, and every sensitive column judged."""

import csv

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from edgefair.cli import main
from edgefair.config import load_config
from edgefair.data.dataset import load

ROWS = 3000
NAMED = ("--label", "again", "--positive", "1", "--sensitive", "sex")


def people(rows=ROWS):
    """A table as it comes: names, dates, holes, a constant, a running number, two sensitive columns and an age."""
    rng = np.random.default_rng(0)
    return {
        "name": [f"person {row}" for row in range(rows)],
        "born": [f"19{row % 60 + 20}-03-1{row % 9}" for row in range(rows)],
        "screened": [f"{row % 27 + 1}/{row % 11 + 1}/14" for row in range(rows)],
        "days": ["" if row % 20 == 0 else row % 31 for row in range(rows)],
        "lost": [("inf" if row % 1000 == 0 else row % 17) for row in range(rows)],
        "score": [f"{value:.4f}" for value in rng.normal(size=rows)],
        "priors": rng.integers(0, 20, rows),
        "charge": rng.choice(["F", "M", ""], rows),
        "source": ["court"] * rows,
        "row": range(rows),
        "age": rng.integers(18, 90, rows),
        "sex": rng.choice(["Male", "Female"], rows),
        "race": [("A", "B", "C", "")[row % 4] for row in range(rows)],
        "again": rng.integers(0, 2, rows),
        "part": ["train" if row % 2 else "test" for row in range(rows)],
    }


def write(path, columns, separator=",", encoding="utf-8"):
    with path.open("w", newline="", encoding=encoding) as stream:
        writer = csv.writer(stream, delimiter=separator)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


@pytest.fixture
def init(tmp_path, monkeypatch):
    """Runs `edgefair init --data people.csv` in a folder that holds it."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "people.csv", people())

    def call(*arguments):
        found = CliRunner().invoke(
            main, ["init", "--data", "people.csv", "--force", *arguments], catch_exceptions=False
        )
        assert found.exit_code in {0, 2}, found.output
        return found

    return call


HARMLESS = [flag for name in ("name", "born", "screened", "lost", "source", "row") for flag in ("--exclude", name)]


def test_everything_that_is_in_the_way_is_said_in_one_go_with_the_flags_that_leave_it_out(init):
    refused = init("--label", "again", "--sensitive", "sex", "--sensitive", "race", "--sensitive", "age", "--id", "nam")
    assert refused.exit_code == 2
    said = refused.stderr
    for expected in (
        "no column 'nam' in 'people.csv' (did you mean 'name'?)",
        "'born' holds dates",
        "'screened' holds dates",
        "'lost' is infinite in 3 of 3,000 rows",
        "'source' has the same value in every row",
        "'name' has 3,000 different values in 3,000 rows: it identifies rows",
        "'row' has 3,000 different values in 3,000 rows: it identifies rows",
        "label 'again' is 0, 1: specify which one is class 1, as --positive '1'",
        "sensitive 'race' is empty in 750 rows",
        "sensitive 'age' has 72 values, more than 20 groups: bin it: --bin age=",
    ):
        assert expected in said
    assert "10 things stand in the way" in said
    fix = said.partition("to fix: add ")[2].partition(", or fix")[0].split()
    assert sorted(fix) == sorted(HARMLESS)


def test_the_flags_of_the_refusal_are_taken_and_every_sensitive_column_is_judged(init, tmp_path):
    columns = people()
    columns["race"] = [value or "unknown" for value in columns["race"]]
    write(tmp_path / "people.csv", columns)
    assert init(*NAMED, "--sensitive", "race", "--exclude", "age", *HARMLESS).exit_code == 0
    config = load_config(tmp_path / "edgefair.yaml")
    assert config.policy.attributes_of("race") == ("race",)
    assert config.policy.group_names("sex") == ("Female", "Male")
    assert config.policy.group_names("race") == ("A", "B", "C", "unknown")
    assert load(config.data, base=tmp_path, roles=["audit"]).features == (
        *("days", "score", "priors", "charge", "part"),
    )


def test_the_label_in_another_form_is_left_out_and_said(init, tmp_path):
    columns = people()
    columns["never"] = [1 - value for value in columns["again"]]
    write(tmp_path / "people.csv", columns)
    found = init(*NAMED, "--exclude", "race", *HARMLESS)
    assert 'the label in another form, and therefore excluded (data.exclude): "never"' in found.output
    config = load_config(tmp_path / "edgefair.yaml")
    assert config.data.exclude[-1] == "never"
    assert "never" not in load(config.data, base=tmp_path, roles=["audit"]).features


def test_ranges_intersections_the_split_and_the_id_come_from_flags(init, tmp_path):
    made = init(
        *(
            *NAMED,
            "--sensitive",
            "age",
            "--bin",
            "age=30,60",
            "--sensitive",
            "sex*age",
            "--split",
            "part",
            "--id",
            "name",
        ),
        *("--exclude", "race", *HARMLESS[2:]),
    )
    assert made.exit_code == 0, made.output
    config = load_config(tmp_path / "edgefair.yaml")
    assert config.policy.group_names("age") == ("30 to 59", "60 and more", "below 30")
    assert config.policy.group_names("sex*age")[0] == "Female*30 to 59"
    audit = load(config.data, base=tmp_path, roles=["audit"]).audit
    assert len(audit) == ROWS / 2
    age = np.array(people()["age"])[::2]
    assert np.count_nonzero(age < 30) == audit.sensitive["age"].text().count("below 30")
    assert np.count_nonzero(age >= 60) == audit.sensitive["age"].text().count("60 and more")


@pytest.mark.parametrize(("separator", "encoding"), [(";", "utf-8-sig"), ("\t", "utf-8")])
def test_semicolons_tabs_and_a_byte_order_mark_give_the_rows_of_a_plain_file(init, tmp_path, separator, encoding):
    flags = (*NAMED, "--exclude", "race", "--exclude", "age", *HARMLESS)
    assert init(*flags).exit_code == 0
    plain = (tmp_path / "edgefair.yaml").read_text()
    rows = load(load_config(tmp_path / "edgefair.yaml").data, base=tmp_path, roles=["audit"]).audit
    write(tmp_path / "people.csv", people(), separator, encoding)
    assert init(*flags).exit_code == 0
    assert (tmp_path / "edgefair.yaml").read_text() == plain
    same = load(load_config(tmp_path / "edgefair.yaml").data, base=tmp_path, roles=["audit"]).audit
    assert same.fingerprint == rows.fingerprint


def test_a_split_that_names_neither_train_nor_test_is_an_obstacle_among_the_others(init):
    refused = init(*NAMED, "--split", "charge")
    assert refused.exit_code == 2
    assert "split 'charge' is F, M, and empty in" in refused.stderr
    assert "sensitive" not in refused.stderr
    assert "'born' holds dates" in refused.stderr


def test_ranges_of_text_and_bounds_that_are_no_numbers_are_refused(init):
    assert "'F' is not a whole number" in init(*NAMED, "--bin", "charge=3").stderr
    assert "is not COLUMN=N,N,..." in init(*NAMED, "--bin", "age=young").stderr


def test_a_name_with_a_line_break_stays_inside_its_comment(init, tmp_path):
    columns = people()
    columns["days\u0085 label: x\u2028exclude: []"] = columns.pop("days")
    columns["a\nb"] = [value or "" for value in columns.pop("charge")]
    write(tmp_path / "people.csv", columns)
    made = init(*NAMED, "--exclude", "race", "--exclude", "age", *HARMLESS)
    assert made.exit_code == 0, made.output
    config = load_config(tmp_path / "edgefair.yaml")
    assert config.data.label == "again"
    assert config.data.missing == "median"
    assert "name" in config.data.exclude


def test_a_subject_is_asked_for_where_an_id_has_several_rows(init, tmp_path):
    columns = people()
    columns["name"] = [f"person {row // 3}" for row in range(ROWS)]
    write(tmp_path / "people.csv", columns)
    others = ("--exclude", "race", "--exclude", "age", *HARMLESS[2:])
    assert "use --subject name" in init(*NAMED, "--id", "name", *others).stderr
    assert init(*NAMED, "--subject", "name", *others).exit_code == 0
    assert yaml.safe_load((tmp_path / "edgefair.yaml").read_text())["data"]["subject"] == "name"
