"""What a pre-commit hook sees: all files are looked at, none is measured."""

import pytest
import yaml
from click.testing import CliRunner

from edgefair.bundle.signing import load_signing_key, sign_bundle
from edgefair.cli import main
from edgefair.resources import PACKAGE
from tests.bundle.small_bundle import private_key, public_pem, write_bundle, write_key

CONFIG = """\
data: {source: absent.csv, label: hired, positive: "yes", sensitive: [sex]}
policy: {attributes: {sex: {groups: [F, M]}}}
"""


def run(*arguments):
    return CliRunner().invoke(main, ["check", *(str(item) for item in arguments)], catch_exceptions=False)


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.delenv("EDGEFAIR_SIGNING_PASSPHRASE", raising=False)
    (tmp_path / "edgefair.yaml").write_text(CONFIG)
    bundle = write_bundle(tmp_path / "people")
    sign_bundle(bundle, load_signing_key(write_key(tmp_path / "edgefair.key")))
    (tmp_path / "edgefair.pub").write_bytes(public_pem(private_key()))
    (tmp_path / "other.pub").write_bytes(public_pem(private_key(2)))
    return tmp_path


def test_what_holds_is_said_in_one_line_without_its_data(files):
    result = run(files / "edgefair.yaml", files / "people" / "manifest.json", "--public-key", files / "edgefair.pub")
    assert (result.exit_code, result.stderr) == (0, "2 checked\n")


def test_every_file_is_looked_at_and_each_mistake_is_told(files):
    (files / "edgefair.yaml").write_text(CONFIG.replace("sensitive", "sensitiv"))
    (files / "people" / "model.onnx").write_bytes(b"x")
    result = run(files / "edgefair.yaml", files / "people", files / "edgefair.pub", files / "absent.yaml")
    assert result.exit_code == 2
    for said in ("key 'data.sensitive' is missing", "'model.onnx' in bundle", "cannot be checked", "4 of 4 failed"):
        assert said in result.stderr


def test_another_key_is_refused(files):
    result = run(files / "people", "--public-key", files / "other.pub")
    assert (result.exit_code, "is by this public key" in result.stderr) == (2, True)


def test_the_hooks_call_a_command_that_exists():
    hooks = yaml.safe_load((PACKAGE.parent / ".pre-commit-hooks.yaml").read_text())
    for hook in hooks:
        program, name = hook["entry"].split()
        assert program == "edgefair"
        assert CliRunner().invoke(main, [name, "--help"]).exit_code == 0
