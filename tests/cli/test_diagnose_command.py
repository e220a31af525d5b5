"""`edgefair diagnose` on tables, pictures and texts."""

import csv
import json

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from edgefair.cli import main
from tests.data.pictures import make_tokenizer

ROWS = 3000
CONFIG = {
    "project": "small",
    "data": {
        "source": "people.csv",
        "label": "answer",
        "classes": ["no", "maybe", "yes"],
        "sensitive": ["sex", "age"],
        "validation": 0.3,
        "split": {"column": "part", "train": ["train"], "audit": ["test"]},
    },
    "model": {"options": {"hidden": [16]}},
    "train": {"epochs": 12, "batch_rows": 128, "learning_rate": 0.02},
    "policy": {
        "attributes": {
            "sex": {"groups": ["F", "M", "X"]},
            "age": {"groups": ["old", "young"]},
            "sex*age": {},
        }
    },
}
NUMBERS = ("loss", "error_rate", "margin", "gradient_norm", "top_eigenvalue", "loss_bound")


def run(*arguments):
    return CliRunner().invoke(main, [str(item) for item in arguments], catch_exceptions=False)


def write_people(path):
    """Three answers that two numbers decide; every fourth label of the old women is another one."""
    rng = np.random.default_rng(0)
    with path.open("w", newline="") as stream:
        out = csv.writer(stream)
        out.writerow(["skill", "luck", "sex", "age", "answer", "part"])
        for row in range(ROWS):
            sex, age = rng.choice(["F", "M"]), rng.choice(["old", "young"])
            skill, luck = rng.normal(size=2)
            answer = int(skill + 0.3 * luck > -0.5) + int(skill + 0.3 * luck > 0.5)
            if (sex, age) == ("F", "old") and rng.random() < 0.25:
                answer = (answer + 1 + int(rng.integers(2))) % 3
            if (sex, age) == ("M", "old") and answer == 1 and row > 40:
                answer = 2
            out.writerow([skill, luck, sex, age, ("no", "maybe", "yes")[answer], "test" if row % 6 == 0 else "train"])


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("diagnose")
    write_people(folder / "people.csv")
    (folder / "edgefair.yaml").write_text(yaml.safe_dump(CONFIG, sort_keys=False))
    assert run("train", "--name", "plain", "-c", folder / "edgefair.yaml").exit_code == 0
    return folder / "edgefair.yaml"


def diagnosed(config, *arguments):
    result = run("diagnose", "-c", config, "--json", *arguments)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def named(items):
    return {(item["group"], item["label"]): item for item in items}


def test_every_cell_is_listed_and_who_loses_first_stands_first(project):
    report = diagnosed(project)
    assert (report["schema"], report["run"]) == ("edgefair.diagnosis/1", "plain")
    assert "not a verdict" in report["hint"]
    cells = named(report["cells"])
    assert set(cells) == {(f"{s}*{a}", y) for s in "FMX" for a in ("old", "young") for y in ("no", "maybe", "yes")}
    bounds = [item["loss_bound"] for item in report["cells"] if item["loss_bound"] is not None]
    assert len(bounds) >= 6
    assert bounds == sorted(bounds, reverse=True)
    assert sum(item["rows"] for item in report["cells"]) == report["rows"]
    assert sum(item["share"] for item in report["cells"]) == pytest.approx(1)
    for item in report["cells"]:
        if item["loss_bound"] is not None:
            d = report["extent"] * report["weight_norm"]
            assert item["loss_bound"] == pytest.approx(item["gradient_norm"] * d + item["top_eigenvalue"] * d * d / 2)


def test_a_cell_without_rows_is_listed_with_its_numbers_absent_and_a_small_one_is_remarked_on(project):
    report = diagnosed(project)
    cells = named(report["cells"])
    empty = cells["X*old", "yes"]
    assert (empty["rows"], empty["measured_rows"], empty["validation_rows"]) == (0, 0, 0)
    assert all(empty[name] is None for name in (*NUMBERS, "label_noise"))
    assert "no training rows" in empty["notes"]
    assert [item["rows"] for item in report["cells"][-6:]] == [0] * 6
    few = cells["M*old", "maybe"]
    assert 0 < few["rows"] < 10
    assert f"{few['rows']} training rows" in few["notes"]
    assert few["loss"] is not None
    assert cells["M*young", "yes"]["notes"] == []


def test_planted_label_noise_is_found_in_its_group(project):
    noise = {item["group"]: item["label_noise"] for item in diagnosed(project)["groups"][2]["groups"]}
    assert noise["F*old"] > 0.12
    assert noise["F*old"] > 3 * max(noise["M*young"], noise["F*young"])
    assert noise["X*old"] is None


def test_a_group_is_the_mean_of_its_cells(project):
    report = diagnosed(project, "--rows", 40)
    assert [item["attribute"] for item in report["groups"]] == ["sex", "age", "sex*age"]
    assert max(item["measured_rows"] for item in report["cells"]) == 40
    women = next(item for item in report["groups"][0]["groups"] if item["group"] == "F")
    cells = [item for item in report["cells"] if item["group"].startswith("F*")]
    assert women["label"] is None
    assert women["rows"] == sum(item["rows"] for item in cells)
    for name in ("loss", "error_rate", "margin"):
        mean = sum(item[name] * item["rows"] for item in cells) / women["rows"]
        assert women[name] == pytest.approx(mean, rel=1e-4)
    assert women["gradient_norm"] <= sum(item["gradient_norm"] * item["rows"] for item in cells) / women["rows"]


def test_the_same_command_gives_the_same_numbers_and_extent_scales_the_bound(project):
    assert diagnosed(project, "--rows", 30) == diagnosed(project, "--rows", 30)
    small, large = diagnosed(project, "--extent", 0.01), diagnosed(project, "--extent", 0.1)
    assert large["cells"][0]["loss_bound"] > 10 * small["cells"][0]["loss_bound"]


def test_people_read_a_table_that_says_it_is_no_verdict(project):
    result = run("diagnose", "-c", project, "--rows", 50, "--run", "plain")
    assert result.exit_code == 0, result.output
    assert "hints from the uncompressed model, not a verdict" in result.stdout
    assert "sex*age, who loses first" in result.stdout
    assert "note: X*old, label no: no training rows" in result.stdout
    assert "Tran et al." in result.stdout


def test_training_rows_that_have_changed_are_said(project):
    assert diagnosed(project, "--rows", 5)["notes"] == []
    notes = diagnosed(project, "--rows", 5, "--set", "data.validation=0.2")["notes"]
    assert notes == ["the training rows have changed since run 'plain' was trained"]


def test_what_cannot_be_diagnosed_is_refused(project):
    unknown = run("diagnose", "-c", project, "--run", "plane")
    assert unknown.exit_code == 2
    assert "did you mean 'plain'" in unknown.stderr
    other = run("diagnose", "-c", project, "--set", "data.classes=['yes', maybe, 'no']")
    assert other.exit_code == 2
    assert "decides between no, maybe, yes" in other.stderr
    assert run("diagnose", "-c", project, "--rows", 0).exit_code == 2
    assert run("diagnose", "-c", project, "--extent", 0).exit_code == 2


def change(path, **sections):
    raw = yaml.safe_load(path.read_text())
    for name, keys in sections.items():
        raw[name] = {**raw.get(name, {}), **keys}
    path.write_text(yaml.safe_dump(raw, sort_keys=False))


def test_pictures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("init", "--data", "glyphs").exit_code == 0
    change(
        tmp_path / "edgefair.yaml",
        data={"glyphs": {"rows": 200, "audit_rows": 40, "size": 12}},
        model={"options": {"width": 0.125}, "picture": {"height": 12, "width": 12, "channels": 1}},
        train={"epochs": 4, "batch_rows": 64},
    )
    assert run("train").exit_code == 0
    report = diagnosed("edgefair.yaml", "--rows", 8)
    assert len(report["cells"]) == 4
    assert all(item["gradient_norm"] > 0 for item in report["cells"])
    assert any(item["top_eigenvalue"] is not None for item in report["cells"])


def test_texts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_tokenizer(tmp_path / "tok")
    rng = np.random.default_rng(0)
    with (tmp_path / "comments.csv").open("w", newline="") as stream:
        out = csv.writer(stream)
        out.writerow(("comment", "toxic", "gender"))
        for _ in range(300):
            toxic = rng.random() < 0.5
            words = [*rng.choice(["the", "cat", "dog", "you"], 5), "bad" if toxic else "good"]
            out.writerow((" ".join(rng.permutation(words)), "yes" if toxic else "no", rng.choice(["F", "M"])))
    options = ("--label", "toxic", "--positive", "yes", "--sensitive", "gender", "--text", "comment")
    assert run("init", "--data", "comments.csv", *options, "--tokenizer", "tok").exit_code == 0
    change(
        tmp_path / "edgefair.yaml",
        model={"options": {"width": 16, "depth": 1, "heads": 2}, "text_length": 8},
        train={"epochs": 1, "batch_rows": 32},
    )
    assert run("train").exit_code == 0
    report = diagnosed("edgefair.yaml", "--rows", 16)
    assert len(report["cells"]) == 4
    assert all(item["gradient_norm"] > 0 for item in report["cells"])
    assert any(item["top_eigenvalue"] is not None for item in report["cells"])
