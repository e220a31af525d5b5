"""train -> export -> verify, through the command line and through the API."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import jsonschema
import pytest
import yaml

import edgefair
from edgefair.bundle.manifest import open_bundle
from edgefair.report.schema import schema_of
from tests.e2e.commands import run


def listing(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_an_unfair_model_is_blocked_and_nothing_is_at_the_destination(trained, tmp_path):
    result = run("export", "--int8", "-c", trained / "unfair/edgefair.yaml", "-o", tmp_path / "out", "--no-latency")
    assert result.exit_code == 1
    assert "FAIL BLOCKED" in result.stdout
    assert listing(tmp_path) == ["out.blocked.json"]
    report = json.loads((tmp_path / "out.blocked.json").read_text())
    assert (report["outcome"], report["exit_code"]) == ("FAIL", 1)
    assert report["targets"][0]["verdict"]["failing"][0]["attribute"] == "sex"


def test_a_fair_model_is_shipped_and_the_shipped_file_passes_again(shipped):
    bundle = open_bundle(shipped / "dist/small")
    assert bundle.manifest.outcome == "PASS"
    assert bundle.model.stat().st_size < bundle.reference.stat().st_size
    assert listing(shipped / "dist") == [
        "small",
        *(
            f"small/{name}"
            for name in (
                *(
                    "canaries.npz",
                    "manifest.json",
                    "model.onnx",
                    "reference",
                    "reference/model.onnx",
                    "reference/seen_rows.npz",
                ),
                *("report.json", "spec.json"),
            )
        ),
    ]
    result = run(
        "verify", "--max-eo-gap", 0.05, "-c", shipped / "edgefair.yaml", "--set", "policy.max_accuracy_drop=0.05"
    )
    assert result.exit_code == 0, result.output
    assert "PASS may ship" in result.stdout
    assert "latency p50" in result.stdout
    assert "as fast as the reference" in result.stdout


def test_the_same_file_is_judged_as_the_policy_says(shipped):
    def code(*flags):
        return run("verify", "--no-latency", "-c", shipped / "edgefair.yaml", *flags).exit_code

    assert code() == 0
    assert code("--max-eo-gap", 0.0001) == 3
    assert code("--max-eo-gap", 0.0001, "--on-inconclusive", "warn") == 0
    assert code("--max-size", 100) == 1
    assert code("--max-latency-p90", 1000) == 3
    assert code("--min-balanced-accuracy", 0.999) == 1
    assert code("--max-eo-gap", 7) == 2


def test_json_is_the_report_alone_and_fits_its_schema(shipped):
    result = run("verify", "-c", shipped / "edgefair.yaml", "--json")
    report = json.loads(result.stdout)
    assert report["schema"] == "edgefair.report/2"
    jsonschema.validate(report, schema_of("report"))
    assert report["targets"][0]["latency"]["queries"] >= 1024
    counts = edgefair.GroupCounts.from_json(report["targets"][0]["counts"])
    again = edgefair.decide(counts, edgefair.Policy.model_validate(report["policy"]))
    assert str(again.outcome) == report["outcome"] == "PASS"


def test_two_runs_give_the_same_report_but_for_times(shipped):
    reports = []
    for _ in range(2):
        report = json.loads(run("verify", "-c", shipped / "edgefair.yaml", "--json", "--no-latency").stdout)
        report.pop("created")
        report.pop("ledger")
        for target in report["targets"]:
            target.pop("timings_s")
            target["device"].pop("temperature_c", None)
        reports.append(report)
    assert reports[0] == reports[1]


def test_exporting_twice_gives_the_same_bytes(project, exported_anew):
    config = project / "edgefair.yaml"
    digests = set()
    for name in ("one", "two"):
        assert run("export", "--int8", "-c", config, "-o", project / name, "--no-latency").exit_code == 0
        digests.add(open_bundle(project / name).manifest.files["model.onnx"].sha256)
    assert len(digests) == 1


def test_a_block_leaves_the_older_bundle_and_a_pass_removes_the_older_block(project):
    config, out = project / "edgefair.yaml", project / "out"
    assert run("export", "--int8", "-c", config, "-o", out, "--no-latency").exit_code == 0
    before = open_bundle(out).manifest
    assert run("export", "--int8", "-c", config, "-o", out, "--no-latency", "--max-eo-gap", 0.0001).exit_code == 3
    assert open_bundle(out).manifest == before
    assert (project / "out.blocked.json").exists()
    assert run("export", "--int8", "-c", config, "-o", out, "--no-latency").exit_code == 0
    assert not (project / "out.blocked.json").exists()


def test_fp32_can_be_judged_and_shipped_too(project):
    assert run("export", "-c", project / "edgefair.yaml", "-o", project / "fp32", "--no-latency").exit_code == 0
    assert open_bundle(project / "fp32").manifest.settings["run"] == "plain"


def test_the_api_and_the_command_give_the_same_verdict(shipped):
    config = edgefair.load_config(shipped / "edgefair.yaml")
    report = edgefair.verify(config, latency=False)
    printed = json.loads(run("verify", "-c", shipped / "edgefair.yaml", "--json", "--no-latency").stdout)
    assert json.loads(json.dumps(report.targets[0].verdict.to_json())) == printed["targets"][0]["verdict"]


def test_a_finished_run_is_kept_and_other_settings_are_not_written_over_it(project):
    config = project / "edgefair.yaml"
    weights = (project / "runs/plain/model.safetensors").read_bytes()
    assert run("train", "-c", config, "--name", "plain").exit_code == 0
    result = run("train", "-c", config, "--name", "plain", "--epochs", 1)
    assert result.exit_code == 2
    assert "other settings (train)" in result.stderr
    assert (project / "runs/plain/model.safetensors").read_bytes() == weights
    assert run("train", "-c", config, "--name", "plain", "--epochs", 1, "--overwrite").exit_code == 0
    assert (project / "runs/plain/model.safetensors").read_bytes() != weights


def test_debiasing_methods_are_combined_from_the_command_line(project):
    flags = ("--debias", "reweigh", "--debias", "eo-penalty", "--epochs", 1)
    result = run("train", "-c", project / "edgefair.yaml", *flags)
    assert result.exit_code == 0, result.output
    settings = json.loads((project / "runs/reweigh+eo-penalty/run.json").read_text())["settings"]
    assert [item["method"] for item in settings["debias"]] == ["reweigh", "eo-penalty"]
    assert (
        run("train", "-c", project / "edgefair.yaml", "--debias", "none", "--epochs", 1, "--name", "n").exit_code == 0
    )


def test_plan_says_what_the_set_can_decide(project):
    few = ("-c", project / "edgefair.yaml", "--simulations", 50)
    result = run("plan", *few)
    assert result.exit_code == 0
    assert "can PASS: a fair model does" in result.stdout
    assert run("plan", *few, "--max-eo-gap", 0.01).exit_code == 3
    plan = json.loads(run("plan", *few, "--json").stdout)
    assert plan["power"][0]["chance"] > plan["power"][-1]["chance"]
    rows = [item["rows_per_cell"] for item in plan["power"]]
    assert rows == sorted(rows)


def test_init_writes_a_config_that_works_and_keeps_one_that_is_there(project, monkeypatch):
    monkeypatch.chdir(project)
    flags = ("--data", "people.parquet", "--label", "fair", "--positive", "yes", "--sensitive", "sex", "-o", "new.yaml")
    assert run("init", *flags).exit_code == 0
    written = yaml.safe_load(Path("new.yaml").read_text())
    assert written["policy"]["attributes"] == {"sex": {"groups": ["F", "M"]}}
    assert edgefair.load_config(Path("new.yaml")).data.label == "fair"
    result = run("init", *flags)
    assert result.exit_code == 2
    assert "--force" in result.stderr


def test_inspect_prints_the_manifest_and_refuses_a_changed_bundle(shipped, tmp_path):
    copy = Path(shutil.copytree(shipped / "dist/small", tmp_path / "copy"))
    assert json.loads(run("inspect", copy).stdout)["outcome"] == "PASS"
    with (copy / "model.onnx").open("ab") as stream:
        stream.write(b"x")
    for command in (("inspect", copy), ("verify", copy, "-c", shipped / "edgefair.yaml")):
        result = run(*command)
        assert result.exit_code == 2
        assert "'model.onnx' in bundle" in result.stderr


@pytest.mark.e2e
def test_verify_works_where_torch_is_not_installed(shipped, tmp_path):
    """A virtual environment that holds everything that is installed here but torch."""
    packages = tmp_path / "packages"
    packages.mkdir()
    # Packages may be in several folders; the first that has one wins.
    sites = [site for site in map(Path, sys.path) if site.is_dir() and any(site.glob("*.dist-info"))]
    for path in [path for site in sites for path in site.iterdir()]:
        if not path.name.startswith(("torch", "functorch", "onnxscript", "safetensors")) and path.name != "edgefair":
            with suppress(FileExistsError):
                (packages / path.name).symlink_to(path)
    (packages / "edgefair").symlink_to(Path(edgefair.__file__).parent)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    library = next((tmp_path / "venv/lib").iterdir()) / "site-packages"
    (library / "packages.pth").write_text(f"{packages}\n")
    python = tmp_path / "venv/bin/python"
    assert subprocess.run([python, "-c", "import torch"], capture_output=True, check=False).returncode != 0
    command = [python, "-m", "edgefair", "verify", "-c", shipped / "edgefair.yaml", "--no-latency"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    refused = subprocess.run(
        [python, "-m", "edgefair", "export", "--int8", "-c", shipped / "edgefair.yaml", "-o", tmp_path / "out"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 2
    assert "[torch]" in refused.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.e2e
def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom edgefair.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as stop:\n    assert stop.code == 0\n"
        "heavy = {'numpy', 'scipy', 'torch', 'onnx', 'onnxruntime', 'pydantic', 'pyarrow', 'rich', 'yaml'}\n"
        "found = heavy & set(sys.modules)\nassert not found, found"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "verify" in done.stdout


@pytest.mark.e2e
def test_a_reader_that_closes_the_pipe_gets_no_verdict_code(shipped):
    command = [
        sys.executable,
        "-m",
        "edgefair",
        "verify",
        "-c",
        str(shipped / "edgefair.yaml"),
        "--no-latency",
        "--json",
    ]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert done.returncode == 4


def test_data_describe_counts_every_group_and_label(project):
    result = run("data", "describe", "-c", project / "edgefair.yaml")
    assert result.exit_code == 0
    assert "audit: 8,000 rows" in result.stdout
    splits = json.loads(run("data", "describe", "-c", project / "edgefair.yaml", "--json").stdout)["splits"]
    assert {name: split["rows"] for name, split in splits.items()} == {"train": 7202, "validation": 798, "audit": 8000}
    groups = splits["audit"]["cells"][0]["groups"]
    assert sum(sum(counts) for counts in groups.values()) == 8000
