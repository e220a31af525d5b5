"""A small project (the fair label treats its two groups alike, the unfair one does not), and how to drive it."""

import csv
import sys
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import yaml
from click.testing import CliRunner

from edgefair.cli import main

ROWS = 16_000
CONFIG = """\
project: small
data:
  source: people.parquet
  label: {label}
  positive: "yes"
  sensitive: [sex]
  exclude: [{other}]
  split: {{column: part, train: [train], audit: [test]}}
model:
  options: {{hidden: [128, 64]}}
train: {{epochs: 3, batch_rows: 256, learning_rate: 0.02}}
policy:
  max_eo_gap: 0.05
  attributes:
    sex: {{groups: [F, M]}}
"""


def write_people(folder: Path) -> None:
    rng = np.random.default_rng(0)
    sex = rng.choice(["F", "M"], ROWS)
    skill, job = rng.normal(size=ROWS), rng.choice(["cook", "nurse", "pilot"], ROWS)
    clear = skill + (job == "pilot") + 0.35 * rng.normal(size=ROWS)
    blurred = np.where(sex == "F", skill + (job == "pilot") + 2.5 * rng.normal(size=ROWS), clear)
    columns = {
        "skill": skill,
        "age": rng.integers(18, 80, ROWS),
        "job": job,
        "sex": sex,
        "fair": np.where(clear > 0.3, "yes", "no"),
        "unfair": np.where(blurred > 0.3, "yes", "no"),
        "part": np.where(np.arange(ROWS) % 2 == 0, "train", "test"),
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), folder / "people.parquet")


OF_COMMENTS = (
    *("--data", "comments.csv", "--label", "toxic", "--positive", "yes", "--sensitive", "gender"),
    *("--text", "comment", "--tokenizer", "tok"),
)


def write_comments(folder: Path, words, longest: int) -> None:
    """comments.csv: 1,500 comments of up to so many words and two that give them away; half of them toxic."""
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(1500):
        toxic = rng.random() < 0.5
        text = [
            *rng.choice(words, rng.integers(2, longest)),
            *rng.choice(["bad", "awful"] if toxic else ["good", "nice"], 2),
        ]
        rows.append((" ".join(rng.permutation(text)), "yes" if toxic else "no", rng.choice(["F", "M"])))
    with (folder / "comments.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("comment", "toxic", "gender"), *rows])


def run(*arguments):
    """A command in this process, which reaches no other machine meanwhile."""
    before = len(REACHED)
    result = CliRunner().invoke(main, [str(item) for item in arguments], catch_exceptions=False)
    assert REACHED[before:] == [], "a command sends nothing anywhere"
    return result


# What this process has asked other machines for.
REACHED: list[tuple[str, str]] = []


def _watch(event, arguments):
    """https://docs.python.org/3/library/audit_events.html"""
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        where = str(arguments[1][0])
    elif event in {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}:
        where = str(arguments[0])
    else:
        return
    if where not in {"127.0.0.1", "::1", "localhost", "None"}:
        REACHED.append((event, where))


sys.addaudithook(_watch)


def change(project, **columns):
    """Change columns of the project's table; None drops one."""
    path = project / "people.parquet"
    table = {name: column.to_numpy(zero_copy_only=False) for name, column in zip(*_parts(path), strict=True)}
    for name, value in columns.items():
        if value is None:
            del table[name]
        else:
            table[name] = value(table) if callable(value) else value
    pyarrow.parquet.write_table(pyarrow.table(table), path)


def _parts(path):
    table = pyarrow.parquet.read_table(path)
    return table.column_names, table.columns


def edit(project, **changes):
    path = project / "edgefair.yaml"
    config = yaml.safe_load(path.read_text())
    for key, value in changes.items():
        *sections, last = key.split("__")
        place = config
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = value
    path.write_text(yaml.safe_dump(config))


def refused(project, *arguments, code=2):
    """Run a command that must be refused; its message, which follows its stages. Nothing may have been written."""
    before = sorted(str(path) for path in project.rglob("*"))
    result = run(*arguments, "-c", project / "edgefair.yaml")
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    stages, error, said = f"\n{result.stderr}".partition("\nerror: ")
    assert error, stages
    assert "Traceback" not in result.stderr
    assert sorted(str(path) for path in project.rglob("*")) == before
    return said
