"""A newcomer's first training: the default budget learns what there is to learn from a small table."""

import csv
import json

import numpy as np
from click.testing import CliRunner

from edgefair.cli import main

ROWS = 1797


def run(*arguments):
    return CliRunner().invoke(main, list(arguments), catch_exceptions=False)


def test_init_and_train_without_a_setting_learn_from_1797_rows_and_too_few_steps_are_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, 6))
    label = np.where(np.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2] + 0.1 * rng.normal(size=ROWS) > 0, "yes", "no")
    with (tmp_path / "people.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([*"abcdef", "sex", "hired"])
        writer.writerows([*row, sex, y] for row, sex, y in zip(x, rng.choice(["F", "M"], ROWS), label, strict=True))
    assert (
        run("init", "--data", "people.csv", "--label", "hired", "--positive", "yes", "--sensitive", "sex").exit_code
        == 0
    )
    trained = json.loads(run("train", "--json").stdout)
    assert trained["standing"]["balanced_accuracy"] > 0.85
    assert trained["settings"]["train"]["batch_rows"] == 64
    assert trained["settings"]["train"]["epochs"] * 1100 / 64 > 500
    assert [item["attribute"] for item in trained["aims"]] == ["sex"]
    short = run("train", "--name", "short", "--epochs", "4", "--set", "train.batch_rows=1024")
    assert "note: UNDERFITTED? it took 8 steps (4 epochs of" in short.stdout
    assert "epoch 4/4: loss " in short.stderr
    assert "aim MISSED on the validation rows" in short.stdout
