"""Whatever is typed, a command ends at once: with exit code 2 and what is wrong."""

import os
import time

import pytest
from click.testing import CliRunner

from edgefair.cli import main

CONFIG = """\
project: people
data: {source: people.csv, label: pay, positive: "yes", sensitive: [sex]}
policy: {attributes: {sex: {groups: [f, m]}}}
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "edgefair.yaml").write_text(CONFIG)
    (tmp_path / "people.csv").write_text("pay,sex,age\nyes,f,3\n" * 1 + "no,m,4\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder.yaml").mkdir()
    for name in ("pipe", "pipe.yaml", "pipe.onnx", "pipe.csv", "pipe.npz", "pipe.pt2"):
        os.mkfifo(tmp_path / name)
    return tmp_path


def refused(*arguments):
    begun = time.perf_counter()
    result = CliRunner().invoke(main, list(arguments), input="")
    assert result.exit_code == 2, result.output
    assert "internal error" not in result.output
    assert time.perf_counter() - begun < 10
    return result.output


@pytest.mark.parametrize(
    "value",
    [
        *("policy.alpha=[", "policy.alpha=2024-13-45", "policy.alpha=.nan", "policy.alpha=1e-300", "policy.alpha=&a 1"),
        *("=5", "a", "..=1", "policy..alpha=1", "policy=null", "project.x=1", "policy.max_latency_p90_ms=1.0e+999"),
        *("seed=99999999999999999999999999", "policy.attributes={}", "policy.attributes.sex.groups=[f]", "\udcff=1"),
        *("data.positive=\udcff", "data.source=\"a\\0\"", "policy.waivers=[{expires: 2024-02-30}]"),
        *("a.b.c=1", "a={a: 1, a: 2}"),
    ],
)  # fmt: skip
def test_a_setting_that_cannot_be(project, value):
    refused("data", "describe", "--set", value)


@pytest.mark.parametrize("number", ["nan", "inf", "0", "-1", "1e-300"])
def test_a_threshold_that_cannot_be(project, number):
    refused("verify", "--from-record", "raw.npz", "--alpha", number)
    if number != "1e-300":
        refused("verify", "--from-record", "raw.npz", "--max-latency-p90", number)


@pytest.mark.parametrize("option", ["--tpr", "--fpr", "--flip-rate"])
@pytest.mark.parametrize("number", ["nan", "inf", "-1", "2"])
def test_a_rate_that_cannot_be(project, option, number):
    assert "range" in refused("plan", option, number)


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "pipe", "folder", "nope", "", "pipe.yaml", "folder.yaml"])
def test_what_is_no_file_is_no_config_record_profile_or_key(project, path):
    refused("plan", "-c", path)
    refused("verify", "--from-record", path)
    refused("verify", "--reference-audit", path)
    refused("verify", "--from-record", "raw.npz", "--reference-audit", path)
    refused("compare", path, path)
    refused("sign", "folder", "--key", path)
    refused("target", "list", path if path.endswith(".yaml") else f"{path}.yaml")


@pytest.mark.parametrize("name", ["pipe.csv", "pipe.npz", "/dev/zero", "folder", "pipe"])
def test_what_is_no_file_is_no_data(project, name):
    refused("data", "describe", "--set", f"data.source={name}")


@pytest.mark.parametrize(
    "model",
    ["pipe.onnx", "pipe.pt2", "nope.onnx", "/dev/zero", "sys:exit", "os:abort2", "hf:folder", ":", "json:loads"],
)
def test_what_is_no_model(project, model):
    rows = "".join(f"{('yes', 'no')[row % 2]},{'fm'[row // 2 % 2]},{row}\n" for row in range(200))
    (project / "people.csv").write_text(f"pay,sex,age\n{rows}")
    refused("export", model, "--no-latency")


@pytest.mark.parametrize("name", ["_data.csv", "-.csv", "données.csv"])
def test_a_project_is_named_after_any_file(project, name):
    rows = "".join(f"{('yes', 'no')[row % 2]},{'fm'[row // 2 % 2]},{row * 37 % 101}.5\n" for row in range(100))
    (project / name).write_text(f"pay,sex,age\n{rows}")
    result = CliRunner().invoke(
        main, ["init", "--data", name, "--label", "pay", "--positive", "yes", "--sensitive", "sex", "--force"]
    )
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("model", ["/dev/full", "/dev/zero"])
def test_a_device_is_no_model_to_compare(project, model):
    """It can be read for ever."""
    rows = [f"{pay},{sex},{age}" for age in range(60) for pay in ("yes", "no") for sex in ("f", "m")]
    (project / "people.csv").write_text("\n".join(["pay,sex,age", *rows]) + "\n")
    assert "it is a device" in refused("compare", model, model)
