"""What commands say on stderr of what they did, so that nobody has to guess."""

import json

import pytest

from tests.attacks.hostile_names import TAME, make_project, run
from tests.bundle.small_bundle import private_key, public_pem, write_key


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_project(tmp_path_factory.mktemp("project"), **TAME)


@pytest.fixture
def project(made, monkeypatch):
    for name in ("GITHUB_ACTIONS", "GITLAB_CI", "EDGEFAIR_SIGNING_KEY", "EDGEFAIR_SIGNING_PASSPHRASE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(made)
    return made


def export(*flags):
    return run("export", "m.onnx", "--no-latency", *flags)


def unfair(*flags):
    done = export("--min-balanced-accuracy", "0.99", *flags)
    assert done.exit_code == 1
    return done.stderr.splitlines()[-2:]


def test_a_blocked_export_says_which_older_bundle_stays(project):
    assert export("-o", "out/a").exit_code == 0
    manifest = json.loads((project / "out/a/manifest.json").read_text())
    said = unfair("-o", "out/a")
    assert said[0] == "blocked; why: out/a.blocked.json"
    assert said[1] == (
        f"the older bundle at 'out/a' stays as it was: PASS, judged {manifest['created']}, "
        f"sha256 {manifest['files']['model.onnx']['sha256'][:16]}"
    )
    assert json.loads((project / "out/a/manifest.json").read_text()) == manifest


def test_a_blocked_export_says_that_nothing_is_there(project):
    assert unfair("-o", "out/b")[1] == "nothing is at 'out/b'"
    assert not (project / "out/b").exists()


def test_inspecting_says_who_signed_what_beside_the_manifest(project, tmp_path):
    key = write_key(tmp_path / "k.pem")
    public = tmp_path / "k.pub"
    public.write_bytes(public_pem(private_key()))
    assert export("-o", "out/c", "--sign", str(key), "--counter", "7").exit_code == 0
    told = run("sign", "out/c", "--key", str(key)).stderr
    keyid = told.rpartition("(key ")[2].rstrip(")\n")
    done = run("inspect", "out/c", "--public-key", str(public))
    manifest = json.loads(done.stdout)
    who, what = done.stderr.splitlines()
    assert who == (
        f"signed by the owner of {public} (key {keyid}): PASS of project '{manifest['project']}', release 7, judged "
        f"{manifest['created']}"
    )
    covered = what.partition(": ")[2].split(", ")
    assert set(covered) == {*manifest["files"], "manifest.json"}
    (project / "out/c/reference/model.onnx").unlink()
    assert (
        "it covers 1 more, which were left behind: reference/model.onnx"
        in run("inspect", "out/c", "--public-key", str(public)).stderr
    )
    unasked = run("inspect", "out/c")
    assert (json.loads(unasked.stdout), unasked.exit_code) == (manifest, 0)
    assert "was not checked" in unasked.stderr
