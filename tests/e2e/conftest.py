"""Projects with real training, for every test of this folder."""

import shutil
from pathlib import Path

import pytest

from tests.e2e.commands import CONFIG, run, write_people


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """Folders `fair` and `unfair`, each with a config and a finished run; not to be written to."""
    root = tmp_path_factory.mktemp("projects")
    for label, other in (("fair", "unfair"), ("unfair", "fair")):
        folder = root / label
        folder.mkdir()
        write_people(folder)
        (folder / "edgefair.yaml").write_text(CONFIG.format(label=label, other=other))
        result = run("train", "-c", folder / "edgefair.yaml", "--name", "plain")
        assert result.exit_code == 0, result.output
    return root


@pytest.fixture(scope="session")
def shipped(trained):
    """The `fair` project with its bundle at dist/small; not to be written to."""
    config = trained / "fair" / "edgefair.yaml"
    result = run("export", "--int8", "-c", config, "--no-latency")
    assert result.exit_code == 0, result.output
    return trained / "fair"


@pytest.fixture
def project(trained, tmp_path):
    """A copy of the `fair` project, free to be changed."""
    used = shutil.ignore_patterns("dist", "repair", "edgefair.ledger.jsonl")
    return Path(shutil.copytree(trained / "fair", tmp_path / "project", ignore=used))
