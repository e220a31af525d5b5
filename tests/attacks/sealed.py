"""A project whose audit rows are sealed, fair and unfair models for it, and how to look at what is said of them."""

import json

import pytest
from click.testing import CliRunner

from edgefair.cli import main
from edgefair.workflow.measurement.ledger import LEDGER
from tests.attacks.judged import CONFIG, linear, report, run, spec, write_project

ACCOUNT = "edgefair.account.jsonl"
SEALED = CONFIG + "  audit: sealed\n"


@pytest.fixture
def project(tmp_path):
    return write_sealed(tmp_path)


def write_sealed(folder):
    """Rows and a sealed policy; `fair.onnx` treats the groups alike, `unfair.onnx` and `worse.onnx` do not."""
    write_project(folder, SEALED)
    linear(folder / "fair.onnx", said=spec())
    linear(folder / "unfair.onnx", (2.0, 1.0, 0.0), said=spec())
    linear(folder / "worse.onnx", (2.0, 2.0, 0.5), said=spec())
    return folder


def verify(project, model="fair.onnx", *arguments):
    return report("verify", project, project / model, "--uncompressed", "--no-latency", *arguments)


def export(project, model="fair.onnx", *arguments):
    return run("export", project, project / model, "--no-latency", *arguments)


def audit(project, command, *arguments):
    """A command of the group `audit`."""
    every = ["audit", command, "-c", project / "edgefair.yaml", *arguments]
    return CliRunner().invoke(main, [str(item) for item in every], catch_exceptions=False)


def refused(project, command, *arguments):
    """The message of a command that must be refused, and that must write nothing."""
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    done = run(command, project, *arguments)
    assert (done.exit_code, done.stdout) == (2, ""), done.output
    assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before
    return " ".join(done.stderr.split())


def lines(project, name=ACCOUNT):
    """The lines of the account, or of another log."""
    path = project / name
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def events(project):
    return [line["event"] for line in lines(project)]


def ledger(project):
    return lines(project, LEDGER)
