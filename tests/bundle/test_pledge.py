"""The bar was not moved: a policy that was signed before the verdict, beside the verdict."""

import json

import pytest
from click.testing import CliRunner

from edgefair.bundle.pledge import POLICY, ROWS, SECTION, Pledge, read_pledge, write_pledge
from edgefair.bundle.signing import load_signing_key, sign_bundle
from edgefair.cli import main
from edgefair.errors import ModelError
from tests.bundle.small_bundle import private_key, public_pem, write_bundle, write_key

CONFIG = """
project: people
data:
  source: people.csv
  label: hired
  positive: "yes"
  sensitive: [sex]
policy:
  max_eo_gap: 0.05
  attributes: {sex: {groups: [F, M]}}
"""


def run(*arguments):
    return CliRunner().invoke(main, [str(item) for item in arguments], catch_exceptions=False)


@pytest.fixture
def keys(tmp_path, monkeypatch):
    monkeypatch.delenv("EDGEFAIR_SIGNING_PASSPHRASE", raising=False)
    (tmp_path / "edgefair.pub").write_bytes(public_pem(private_key()))
    (tmp_path / "other.pub").write_bytes(public_pem(private_key(2)))
    return write_key(tmp_path / "edgefair.key")


@pytest.fixture
def project(tmp_path, keys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [f"{age},{sex},{hired}" for age in range(20, 60) for sex in "FM" for hired in ("yes", "no")]
    (tmp_path / "people.csv").write_text("\n".join(["age,sex,hired", *rows]) + "\n")
    (tmp_path / "edgefair.yaml").write_text(CONFIG)
    assert run("policy", "sign", "--key", keys).exit_code == 0
    return tmp_path


def checked(public="edgefair.pub", file="policy.dsse.json"):
    return run("policy", "check", file, "--public-key", public)


def test_what_was_signed_holds_as_long_as_nothing_changes(project):
    result = checked()
    assert (result.exit_code, "nothing changed since" in result.stderr) == (0, True)


@pytest.mark.parametrize(
    ("file", "before", "after", "name"),
    [
        ("edgefair.yaml", "max_eo_gap: 0.05", "max_eo_gap: 0.1", "policy"),
        ("people.csv", "\n3", "\n8", "audit rows"),
        ("edgefair.yaml", "sensitive: [sex]", "sensitive: [sex]\n  split: {audit_fraction: 0.5}", "audit rows"),
    ],
)
def test_a_bar_that_moved_is_refused(project, file, before, after, name):
    text = (project / file).read_text()
    assert before in text
    (project / file).write_text(text.replace(before, after))
    result = checked()
    assert result.exit_code == 2
    assert f"error: the {name} changed since the policy was signed" in result.stderr


def test_what_another_key_signed_or_somebody_edited_says_nothing(project):
    assert "none of the 1 signatures" in checked("other.pub").stderr
    envelope = json.loads((project / "policy.dsse.json").read_text())
    envelope["payload"] = envelope["payload"][:-8] + "AAAAAAAA"
    (project / "edited.json").write_text(json.dumps(envelope))
    (project / "cut.json").write_text((project / "policy.dsse.json").read_text()[:100])
    for name in ("edited.json", "cut.json", "absent.json"):
        assert checked(file=name).exit_code == 2, name


def pledge_of(bundle, **changes):
    report = json.loads((bundle / "report.json").read_text())
    digests = {
        POLICY: report["targets"][0]["verdict"]["policy_digest"],
        ROWS: report["audit"]["fingerprint"],
        SECTION: report["data"]["sha256"],
    }
    created = changes.pop("created", "2026-10-31T00:00:00+00:00")
    return Pledge("people", created, {**digests, **changes}, report["policy"])


def test_a_bundle_shows_that_it_was_judged_by_what_was_signed_before(tmp_path, keys):
    bundle, signer = write_bundle(tmp_path / "bundle"), load_signing_key(keys)
    sign_bundle(bundle, signer)
    for name, pledge, message in (
        ("as-pledged", pledge_of(bundle), None),
        ("other-rows", pledge_of(bundle, **{ROWS: "1" * 64}), "its audit rows is"),
        ("other-choice", pledge_of(bundle, **{SECTION: "1" * 64}), "its data section is"),
        ("later", pledge_of(bundle, created="2026-11-02T00:00:00+00:00"), "before the policy was signed"),
    ):
        write_pledge(tmp_path / name, pledge, signer)
        result = run("inspect", bundle, "--public-key", tmp_path / "edgefair.pub", "--signed-policy", tmp_path / name)
        assert (result.exit_code == 0) == (message is None), name
        assert message is None or message in result.stderr, name
    assert run("inspect", bundle, "--signed-policy", tmp_path / "as-pledged").exit_code == 2


def test_a_pledge_whose_policy_is_not_that_of_its_digest_is_none(tmp_path, keys):
    bundle = write_bundle(tmp_path / "bundle")
    write_pledge(tmp_path / "forged", pledge_of(bundle, **{POLICY: "1" * 64}), load_signing_key(keys))
    with pytest.raises(ModelError, match="its digests are not those of what it holds"):
        read_pledge(tmp_path / "forged", public_pem(private_key()))
