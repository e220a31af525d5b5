"""A file as it comes, from `init` to a verdict, by nothing but what each step says to do next."""

import csv
import json
import re
import shlex

import numpy as np
import pytest
import yaml

from edgefair.config import load_config
from tests.e2e.commands import run

ROWS = 12_000
FIRST = (
    *("--data", "people.csv", "--label", "hired", "--positive", "yes"),
    *("--sensitive", "gender", "--sensitive", "origin"),
)


def people(rows=ROWS, seed=0):
    """Ids, dates, names, missing numbers and texts, an outcome that gives the label away, two sensitive columns."""
    rng = np.random.default_rng(seed)
    skill, job = rng.normal(size=rows), rng.choice(["cook", "nurse", "pilot", ""], rows)
    hired = skill + (job == "pilot") - (job == "") + 0.05 * rng.normal(size=rows) > 0.2
    return {
        "application": rng.permutation(rows) + 20_000 * seed + 1,
        "name": [f"person {row}" for row in range(rows)],
        "received": [f"2024-{row % 12 + 1:02}-{row % 27 + 1:02}" for row in range(rows)],
        "skill": ["" if row % 25 == 0 else f"{value:.3f}" for row, value in enumerate(skill)],
        "income": rng.choice(10**7, rows, replace=False),
        "job": job,
        "gender": rng.choice(["F", "M"], rows),
        "origin": rng.choice(["here", "there"], rows),
        "contract": np.where(hired, rng.choice(["fixed", "open"], rows), ""),
        "hired": np.where(hired, "yes", "no"),
    }


def write(path, columns):
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "people.csv", people())
    return tmp_path


def advised(result):
    """The commands that the output says come next, as arguments."""
    (line,) = re.findall(r"^next: (.*)$", result.stderr, re.MULTILINE)
    return [shlex.split(command)[1:] for command in line.split(", then ")]


def flags_of(refusal):
    """The flags that a refusal says to add."""
    return shlex.split(re.search(r"^to fix: add (.*), or fix", refusal.stderr, re.MULTILINE)[1])


def test_a_raw_file_gets_a_verdict_on_both_sensitive_columns_by_what_each_step_says(folder):
    refused = run("init", *FIRST)
    assert refused.exit_code == 2
    made = run("init", *FIRST, *flags_of(refused))
    assert made.exit_code == 0, made.output
    assert "judged: gender, origin\nthe model sees: skill, income, job\n" in made.stderr
    assert "but not: application, name, received, contract\n" in made.stderr
    assert 'is imputed, inside the exported file (data.missing; or mean, or refuse): "skill" 4.00%\n' in made.stderr
    assert re.search(r'missing texts are a category of their own: "job" 2\d\.\d\d%', made.stderr)
    assert (folder / "edgefair.yaml").read_text().count("missing numbers: the median") == 1
    config = load_config(folder / "edgefair.yaml")
    assert config.data.exclude == ("application", "name", "received", "contract")
    assert config.data.missing == "median"

    describe, train = advised(made)
    described = run(*describe)
    assert described.exit_code == 0
    assert "4.00%" in described.stdout
    # A search trains thirteen networks; a few epochs of each are enough for people who are told apart so easily.
    trained = run(*train, "--epochs", 2)
    assert trained.exit_code == 0, trained.output
    (export,) = advised(trained)
    exported = run(*export, "--no-latency")
    assert exported.exit_code == 0, exported.output
    assert "'skill' has no number in" in exported.stdout
    (verify,) = advised(exported)
    verified = run(*verify, "--no-latency", "--json")
    assert verified.exit_code == 0, verified.output
    report = json.loads(verified.stdout)
    assert report["outcome"] == "PASS"
    assert report["targets"][0]["counts"]["attributes"] == ["gender", "origin"]
    assert sorted(report["policy"]["attributes"]) == ["gender", "origin"]


def test_rows_that_repeat_others_are_asked_about_among_all_that_is_in_the_way_and_never_later(folder):
    columns = people(2000)
    for name in ("skill", "income"):
        columns[name] = [row % 5 for row in range(2000)]
    write(folder / "people.csv", columns)
    refused = run("init", *FIRST)
    assert refused.exit_code == 2
    assert re.search(r"1,\d\d\d of 2,000 rows repeat another one in every feature, label and group", refused.stderr)
    assert "'received' holds dates" in refused.stderr
    flags = flags_of(refused)
    assert "use --equal-rows people if different people" in run("init", *FIRST, *flags).stderr
    assert run("init", *FIRST, *flags, "--equal-rows", "people").exit_code == 0
    assert yaml.safe_load((folder / "edgefair.yaml").read_text())["data"]["equal_rows"] == "people"
    assert run("data", "describe").exit_code == 0
    assert run("train", "--epochs", 1).exit_code == 0


def test_an_audit_file_of_its_own_decides_and_the_other_one_trains(folder):
    later = people(3000, seed=1)
    later["extra"] = ["x"] * 3000
    # Text there what is a number here: codes are text in both.
    columns = people()
    columns["code"] = [row % 4 + 1 for row in range(ROWS)]
    later["code"] = [("01", "2", "3", "A")[row % 4] for row in range(3000)]
    write(folder / "people.csv", columns)
    write(folder / "later.csv", later)
    flags = flags_of(run("init", *FIRST, "--audit", "later.csv"))
    made = run("init", *FIRST, "--audit", "later.csv", *flags)
    assert made.exit_code == 0, made.output
    described = json.loads(run("data", "describe", "--json").stdout)
    rows = {role: split["rows"] for role, split in described["splits"].items()}
    assert rows["audit"] == 3000
    assert rows["train"] + rows["validation"] == ROWS
    assert next(item for item in described["columns"] if item["name"] == "code")["kind"] == "text"
    assert run("train", "--epochs", 2).exit_code == 0
    report = json.loads(run("export", "--int8", "--no-latency", "--no-repair", "--json").stdout)
    assert report["audit"]["rows"] == 3000
    assert "audit rows are those of later.csv" in run("export", "--no-latency").stdout
    refused = run("compare", "dist/people", "dist/people", "--data", "later.csv")
    assert refused.exit_code == 2
    assert "--set data.audit=later.csv" in refused.stderr


def test_what_the_audit_file_lacks_or_writes_otherwise_is_said_with_the_rest(folder):
    later = people(3000, seed=1)
    del later["job"]
    later["hired"] = [f"{value}." for value in later["hired"]]
    write(folder / "later.csv", later)
    refused = run("init", *FIRST, "--audit", "later.csv")
    assert refused.exit_code == 2
    assert "'job' is not in the audit file 'later.csv'" in refused.stderr
    assert "label 'hired' is no., yes. in 'later.csv' alone, and no, yes in 'people.csv'" in refused.stderr
    assert "'received' holds dates" in refused.stderr


def test_an_audit_file_whose_rows_have_trained_is_refused(folder):
    columns = people()
    write(folder / "later.csv", {name: list(column)[:3000] for name, column in columns.items()})
    flags = flags_of(run("init", *FIRST, "--audit", "later.csv"))
    assert run("init", *FIRST, "--audit", "later.csv", *flags).exit_code == 0
    assert run("train", "--epochs", 1).exit_code == 0
    refused = run("export", "--int8", "--no-latency")
    assert refused.exit_code == 2
    assert "audit rows equal a training row in every feature" in refused.stderr


@pytest.mark.parametrize("other", [{"split": {"column": "part"}}, {"picture": "photo"}, {"layout": "celeba"}])
def test_an_audit_file_and_another_way_to_choose_audit_rows_contradict_each_other(folder, other):
    config = {
        "project": "p",
        "data": {"source": "people.csv", "audit": "later.csv", "label": "hired", "sensitive": ["gender"], **other},
        "policy": {"attributes": {"gender": {"groups": ["F", "M"]}}},
    }
    (folder / "edgefair.yaml").write_text(yaml.safe_dump(config))
    refused = run("data", "describe")
    assert refused.exit_code == 2
    assert "`audit`" in refused.stderr
