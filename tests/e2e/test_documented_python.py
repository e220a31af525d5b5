"""What the README and the documentation show of the Python interface runs as it stands there."""

import inspect
import sys

import pytest
import yaml

import edgefair
from edgefair.bundle.signing import load_signing_key, sign_bundle
from edgefair.probe.bundles import runtime
from tests.bundle.small_bundle import private_key, public_pem, write_bundle, write_key
from tests.documents.blocks import ROOT, in_language
from tests.e2e.commands import CONFIG, write_people

# Tutorials and how-to pages are carried out as a whole, by their own tests.
BLOCKS = [block for block in in_language("python") if block.document.parent in {ROOT, ROOT / "docs"}]
DEVICE = [block for block in BLOCKS if "edgefair_runtime" in block.text]
PROJECT = [block for block in BLOCKS if block not in DEVICE]


def run(block, text=None):
    exec(compile(text or block.text, block.place, "exec"), names := {})
    return names


def test_the_readme_has_an_example():
    assert any(block.document.name == "README.md" for block in PROJECT)


@pytest.mark.parametrize("block", PROJECT, ids=lambda block: block.place)
def test_a_documented_example_runs(block, tmp_path, monkeypatch, capsys):
    write_people(tmp_path)
    config = yaml.safe_load(CONFIG.format(label="fair", other="unfair"))
    (tmp_path / "edgefair.yaml").write_text(yaml.safe_dump({**config, "train": {"epochs": 1}}))
    monkeypatch.chdir(tmp_path)
    run(block)
    assert capsys.readouterr().out.split()[0] in {"PASS", "FAIL", "INCONCLUSIVE"}


@pytest.mark.parametrize("block", DEVICE, ids=lambda block: block.place)
def test_what_a_device_runs_loads_a_signed_bundle_from_where_it_is_told_to_lie(block, tmp_path, monkeypatch):
    bundle = write_bundle(tmp_path / "model")
    sign_bundle(bundle, load_signing_key(write_key(tmp_path / "edgefair.key")), counter=7)
    (tmp_path / "edgefair.pub").write_bytes(public_pem(private_key()))
    monkeypatch.setitem(sys.modules, "edgefair_runtime", runtime)
    names = run(block, block.text.replace("/opt/", f"{tmp_path}/").replace("/etc/", f"{tmp_path}/"))
    assert isinstance(names["model"], runtime.Model)


def test_every_public_function_that_takes_a_path_takes_its_text():
    taken = 0
    for name in edgefair.__all__:
        function = getattr(edgefair, name)
        if not inspect.isfunction(function):
            continue
        for argument, kind in inspect.get_annotations(function).items():
            parts = [part.strip() for part in kind.split("|")]
            if "Path" in parts and argument != "return":
                assert "str" in parts, f"{name}({argument})"
                taken += 1
    assert taken
