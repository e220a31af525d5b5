"""`edgefair explain` on a model file, a training run and a bundle."""

import csv
import json

import numpy as np
import onnx
import pytest
import yaml
from click.testing import CliRunner
from onnx import numpy_helper
from PIL import Image

from edgefair.cli import main
from edgefair.workflow import explain as workflow
from tests.compress.quantization.brightness import (
    BRIGHT,
    HORIZONTAL,
    INPUT,
    LAYERS,
    SATURATES,
    brightness_model,
    brightness_rows,
    int8_of,
)

LIGHT, STRIPES = ("dark", "bright"), ("horizontal", "vertical")


def run(*arguments):
    return CliRunner().invoke(main, [str(item) for item in arguments], catch_exceptions=False)


def explained(config, *arguments):
    result = run("explain", "-c", config, "--json", *arguments)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def by_node(report):
    return {item["node"]: item for item in report["layers"]}


def at(report, group, label):
    return [(cell["group"], cell["label"]) for cell in report["cells"]].index((group, label))


@pytest.fixture(scope="module")
def brightness(tmp_path_factory):
    """The brightness case as a project; its folder."""
    folder = tmp_path_factory.mktemp("brightness")
    pictures, label, group = brightness_rows(480, seed=0)
    np.savez(
        folder / "rows.npz",
        **{INPUT: pictures},
        stripes=np.array(STRIPES)[label],
        light=np.array(LIGHT)[group],
        part=np.array(["train", "train", "train", "audit"])[np.arange(480) // 4 % 4],
    )
    config = {
        "project": "stripes",
        "data": {
            "source": "rows.npz",
            "label": "stripes",
            "classes": list(STRIPES),
            "sensitive": ["light"],
            "validation": 0.3,
            "split": {"column": "part", "train": ["train"], "audit": ["audit"]},
        },
        "policy": {"attributes": {"light": {"groups": list(LIGHT)}}},
    }
    (folder / "edgefair.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    onnx.save_model(brightness_model(), folder / "model.onnx")
    return folder


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """A trained run and its bundle; the folder of the project."""
    folder = tmp_path_factory.mktemp("people")
    rng = np.random.default_rng(0)
    with (folder / "people.csv").open("w", newline="") as stream:
        out = csv.writer(stream)
        out.writerow(["skill", "luck", "sex", "answer", "part"])
        for row in range(1500):
            skill, luck = rng.normal(size=2)
            answer = "yes" if skill + 0.3 * luck > 0 else "no"
            out.writerow([skill, luck, rng.choice(["F", "M"]), answer, "test" if row % 4 == 0 else "train"])
    config = {
        "project": "people",
        "data": {
            "source": "people.csv",
            "label": "answer",
            "positive": "yes",
            "sensitive": ["sex"],
            "validation": 0.3,
            "split": {"column": "part", "train": ["train"], "audit": ["test"]},
        },
        "model": {"options": {"hidden": [16, 8]}},
        "train": {"epochs": 3, "batch_rows": 128, "learning_rate": 0.02},
        "policy": {
            "max_eo_gap": 0.9,
            "attributes": {"sex": {"groups": ["F", "M", "X"]}},
            "on_inconclusive": "warn",
        },
    }
    (folder / "edgefair.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    assert run("train", "--name", "plain", "-c", folder / "edgefair.yaml").exit_code == 0
    return folder


TIMES = ("reference_us", "low_us")


def untimed(layers):
    return [{key: value for key, value in item.items() if key not in TIMES} for item in layers]


def test_the_layer_the_group_and_the_label_that_saturate_are_named(brightness):
    report = explained(brightness / "edgefair.yaml", brightness / "model.onnx")
    assert (report["schema"], report["int8"]) == ("edgefair.explanation/1", "static")
    assert set(by_node(report)) == set(LAYERS)
    worst = at(report, LIGHT[BRIGHT], STRIPES[HORIZONTAL])
    for node, layer in by_node(report).items():
        share = layer["saturation"]
        assert (max(share) > 0) == (node == SATURATES)
        if node == SATURATES:
            assert share.index(max(share)) == worst
            assert layer["saturation_error"][worst] > 0.2
            assert [share[at(report, "dark", label)] for label in STRIPES] == [0, 0]
        assert max(layer["clipping"]) == 0


def test_every_layer_moves_every_cell_and_the_same_command_says_the_same(brightness):
    arguments = (brightness / "edgefair.yaml", brightness / "model.onnx", "--rows", 16)
    report = explained(*arguments)
    assert untimed(explained(*arguments)["layers"]) == untimed(report["layers"])
    assert all(item[name] >= 0 for item in report["layers"] for name in TIMES)
    assert [cell["rows"] for cell in report["cells"]] == [16] * 4
    last = [item["node"] for item in report["layers"] if item["pruned"] is None]
    assert last == ["decide"]
    for item in report["layers"]:
        for change in (item["within"], item["alone"], item["pruned"] or item["alone"]):
            assert all(isinstance(value, float) for name in ("loss", "log_odds", "flips") for value in change[name])
    pruned = by_node(report)[SATURATES]["pruned"]
    assert max(pruned["loss"]) > 1
    assert max(pruned["flips"]) > 0.5


def test_people_read_tables_and_see_a_heat_map(brightness, tmp_path):
    result = run(
        "explain",
        "-c",
        brightness / "edgefair.yaml",
        brightness / "model.onnx",
        "--rows",
        8,
        "--plot",
        tmp_path / "h.png",
    )
    assert result.exit_code == 0, result.output
    for text in (
        "layers, most harm by INT8 first",
        "growth of the loss by INT8, cell by cell",
        "saturation on x86 without VNNI",
        "bright, horizontal",
        "sums beyond 16 bits",
    ):
        assert text in result.stdout
    assert "cut off" not in result.stdout
    picture = np.asarray(Image.open(tmp_path / "h.png").convert("RGB"))
    assert picture.shape[1] > 600
    assert (picture.reshape(-1, 3) == (200, 30, 30)).all(axis=1).any()


def test_a_calibration_that_cuts_a_group_off_is_seen(brightness, tmp_path):
    """Rows in which the bright group is rare, calibrated to a percentile: the rare group's values are the cut ones."""
    (tmp_path / "tight.yaml").write_text("name: tight\nrows: 64\nmethod: percentile\npercentile: 80\n")
    config = brightness / "edgefair.yaml"
    setting = f"compress.calibration={tmp_path / 'tight.yaml'}"
    report = explained(config, brightness / "model.onnx", "--rows", 16, "--set", setting)
    clipping = by_node(report)["edges"]["clipping"]
    assert clipping[at(report, "bright", "vertical")] > 0.1
    assert max(clipping[at(report, "dark", label)] for label in STRIPES) < 0.01
    shown = run("explain", "-c", config, brightness / "model.onnx", "--rows", 16, "--set", setting)
    assert "more in bright" in shown.stdout


def test_a_run_is_explained_and_no_audit_row_is_read(people, monkeypatch):
    asked = []
    load = workflow.load

    def noting(*arguments, **named):
        asked.append(named["roles"])
        return load(*arguments, **named)

    monkeypatch.setattr(workflow, "load", noting)
    report = explained(people / "edgefair.yaml", "--rows", 20)
    assert asked == [("train", "validation")]
    assert report["model"] == "run plain"
    assert len(report["layers"]) == 3
    empty = at(report, "X", "yes")
    assert report["cells"][empty]["rows"] == 0
    assert all(item["within"]["loss"][empty] is None for item in report["layers"])
    assert any("no validation rows: X, no; X, yes" in note for note in report["notes"])
    assert not list(people.glob("*ledger*"))


def test_a_bundle_is_explained_by_its_reference_and_its_file_is_looked_at(people, tmp_path):
    config = people / "edgefair.yaml"
    exported = run("export", "-c", config, "--int8", "--no-latency", "-o", tmp_path / "bundle", "--no-repair")
    assert exported.exit_code == 0, exported.output
    report = explained(config, tmp_path / "bundle", "--rows", 20)
    assert report["model"] == str(tmp_path / "bundle")
    assert len(report["layers"]) == 3
    # As the run's own: this bundle holds its plain INT8 file.
    of_run = explained(config, "--rows", 20)
    assert untimed(report["layers"]) == untimed(of_run["layers"])
    (tmp_path / "bundle" / "reference" / "model.onnx").unlink()
    refused = run("explain", "-c", config, tmp_path / "bundle")
    assert refused.exit_code == 2
    assert "has no FP32 reference" in refused.stderr


def test_a_bundle_whose_weights_were_trained_again_says_what_is_of_which_file(people, tmp_path):
    config = people / "edgefair.yaml"
    exported = run("export", "-c", config, "--int8", "--no-latency", "-o", tmp_path / "bundle", "--no-repair")
    assert exported.exit_code == 0, exported.output
    manifest = tmp_path / "bundle" / "manifest.json"
    raw = json.loads(manifest.read_text())
    raw["settings"] |= {"prune": {"ratio": 0.5}, "sparsity": {"ratio": 0.5}}
    manifest.write_text(json.dumps(raw))
    notes = explained(config, tmp_path / "bundle", "--rows", 4)["notes"]
    assert any("were trained further (prune, sparsity)" in note for note in notes)
    raw["settings"]["calibration"]["method"] = "by eye"
    manifest.write_text(json.dumps(raw))
    refused = run("explain", "-c", config, tmp_path / "bundle")
    assert refused.exit_code == 2
    assert "calibration recipe" in refused.stderr


def test_dynamic_int8_cuts_nothing_off_and_its_layers_are_looked_at_for_saturation(people):
    report = explained(people / "edgefair.yaml", "--rows", 4, "--set", "compress.int8=dynamic")
    assert report["int8"] == "dynamic"
    assert {item["operator"] for item in report["layers"]} <= {"MatMul", "Gemm"}
    assert all(item["saturation"] is not None and item["clipping"] is None for item in report["layers"])
    assert any("dynamic INT8" in note for note in report["notes"])


def test_fp16_names_the_layer_that_overflows_and_the_group_whose_rows_it_strikes(brightness, tmp_path):
    model = brightness_model()
    for weight, factor in (("w1", 4e4), ("w2", 2.5), ("w3", 1e-5)):
        item = next(item for item in model.graph.initializer if item.name == weight)
        item.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(item) * np.float32(factor), weight))
    onnx.save_model(model, tmp_path / "large.onnx")
    arguments = (brightness / "edgefair.yaml", tmp_path / "large.onnx", "--rows", 8, "--set", "compress.fp16=true")
    report = explained(*arguments)
    assert report["int8"] is None
    assert set(by_node(report)) == set(LAYERS)
    for node, layer in by_node(report).items():
        assert (layer["saturation"], layer["clipping"]) == (None, None)
        for light in LIGHT:
            share = max(layer["overflow"][at(report, light, label)] for label in STRIPES)
            assert (share > 0) == (node == SATURATES and light == "bright")
    shown = run("explain", "-c", *arguments)
    assert "FP16" in shown.stdout
    assert "outputs that FP16 cannot represent" in shown.stdout
    assert "INT8" not in shown.stdout


def test_calibration_rows_of_ones_own_set_the_ranges_and_are_said_to_be_unlike_training_rows(people):
    (people / "mine.csv").write_text("skill,luck\n" + "".join(f"{row / 50},{0.1 * row}\n" for row in range(100)))
    report = explained(people / "edgefair.yaml", "--rows", 4, "--set", "compress.calibration=mine.csv")
    assert any(max(item["clipping"][:4]) > 0.05 for item in report["layers"])
    assert any("calibration rows of 'mine.csv': 'luck' is outside" in note for note in report["notes"])
    missing = run("explain", "-c", people / "edgefair.yaml", "--set", "compress.calibration=none.csv")
    assert missing.exit_code == 2
    assert "no file of calibration rows" in missing.stderr


def test_what_cannot_be_explained_is_refused(brightness, people, tmp_path):
    config = brightness / "edgefair.yaml"
    onnx.save_model(int8_of(brightness_model()), tmp_path / "int8.onnx")
    quantized = run("explain", "-c", config, tmp_path / "int8.onnx")
    assert quantized.exit_code == 2
    assert "already quantized" in quantized.stderr
    missing = run("explain", "-c", config, tmp_path / "none.onnx")
    assert missing.exit_code == 2
    assert "none.onnx" in missing.stderr
    folder = run("explain", "-c", config, tmp_path)
    assert folder.exit_code == 2
    assert "is a folder but not a bundle" in folder.stderr
    assert run("explain", "-c", config, brightness / "model.onnx", "--run", "plain").exit_code == 2
    unknown = run("explain", "-c", people / "edgefair.yaml", "--run", "plane")
    assert unknown.exit_code == 2
    assert "did you mean 'plain'" in unknown.stderr
    nowhere = run("explain", "-c", config, brightness / "model.onnx", "--plot", tmp_path / "none" / "h.png")
    assert nowhere.exit_code == 2
    assert "no folder" in nowhere.stderr
    picture = run("explain", "-c", config, brightness / "model.onnx", "--plot", tmp_path / "h.jpg")
    assert picture.exit_code == 2
    assert picture.stderr.startswith("error: ")
    assert "a name that ends in .png" in picture.stderr
    assert run("explain", "-c", config, brightness / "model.onnx", "--rows", 0).exit_code == 2
    assert run("explain", "-c", config, brightness / "model.onnx", "--prune-share", 1).exit_code == 2


@pytest.mark.parametrize(("command", "flag"), [("explain", "--prune-share"), ("export", "--prune")])
@pytest.mark.parametrize("share", ["nan", "0", "1"])
def test_a_share_that_is_none_is_a_usage_error(command, flag, share):
    done = CliRunner().invoke(main, [command, flag, share])
    assert done.exit_code == 2
    assert f"Invalid value for '{flag}'" in done.stderr
