"""Files that are none, names that lead elsewhere, JSON that runs away: a bundle error at once, whatever they are."""

import hashlib
import json
import os
import signal

import pytest

from edgefair.bundle.manifest import open_bundle
from edgefair.bundle.signing import load_signing_key, sign_bundle
from edgefair.errors import ModelError
from edgefair.probe.bundles.runtime import BundleError, load
from edgefair.probe.files import inside
from tests.bundle.small_bundle import private_key, public_pem, write_bundle, write_key

PUBLIC = public_pem(private_key())
ATTESTATION = "attestation.dsse.json"
NAMES = ["manifest.json", ATTESTATION, "model.onnx", "report.json", "spec.json", "reference/model.onnx"]


@pytest.fixture(autouse=True)
def soon():
    """Whatever happens, it happens at once."""

    def late(*_):
        raise AssertionError("it took more than 10 s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(10)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    monkeypatch.delenv("EDGEFAIR_SIGNING_PASSPHRASE", raising=False)
    bundle = write_bundle(tmp_path / "bundle")
    sign_bundle(bundle, load_signing_key(write_key(tmp_path / "edgefair.key")))
    return bundle


def pipe(path):
    os.mkfifo(path)


def endless(path):
    path.symlink_to("/dev/zero")


def nowhere(path):
    path.symlink_to("nowhere")


def circle(path):
    path.symlink_to(path.name)


def folder(path):
    path.mkdir()


def huge(path):
    with path.open("wb") as stream:
        stream.truncate(1 << 40)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", [pipe, endless, nowhere, circle, folder, huge])
def test_a_file_that_is_no_regular_one_of_its_size_is_refused_at_once(bundle, name, kind):
    (bundle / name).unlink()
    kind(bundle / name)
    for key in (PUBLIC, None):
        if key is None and name == ATTESTATION:
            continue
        with pytest.raises(BundleError):
            load(bundle, key)
    if name != ATTESTATION and (kind, name) != (folder, "reference/model.onnx"):
        with pytest.raises(ModelError):
            open_bundle(bundle)


@pytest.mark.parametrize("name", NAMES)
def test_a_link_to_the_right_content_is_refused_too(bundle, name):
    """What it leads to can change between the check and the use, and no signature says where it leads."""
    kept = bundle.parent / "kept"
    (bundle / name).rename(kept)
    (bundle / name).symlink_to(kept)
    with pytest.raises(BundleError):
        load(bundle, PUBLIC)


def test_a_folder_of_the_bundle_that_is_a_link_was_not_signed(bundle):
    (bundle / "reference").rename(bundle.parent / "reference")
    (bundle / "reference").symlink_to(bundle.parent / "reference")
    with pytest.raises(BundleError, match="holds 'reference', which was not signed"):
        load(bundle, PUBLIC)


def test_the_bundle_itself_may_be_reached_by_a_link(bundle):
    (bundle.parent / "current").symlink_to(bundle)
    load(bundle.parent / "current", PUBLIC)


def test_the_public_key_may_be_a_link_and_nothing_odd(bundle, tmp_path):
    (tmp_path / "real.pub").write_bytes(PUBLIC)
    (tmp_path / "link.pub").symlink_to("real.pub")
    load(bundle, tmp_path / "link.pub")
    for number, kind in enumerate((pipe, endless, nowhere, circle, folder, huge)):
        kind(tmp_path / f"{number}.pub")
        with pytest.raises(BundleError, match=r"the public key .* cannot be read"):
            load(bundle, tmp_path / f"{number}.pub")
    with pytest.raises(BundleError, match="cannot be read"):
        load(bundle, "no\0path")


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b'{"schema": ' + b"9" * 3_000_000 + b"}",
        b'{"schema": NaN}',
        b"\xff\xfe\x00",
        b"\xef\xbb\xbf{}",
        b'"text"',
        b"7",
        b"null",
        b"",
        b"{",
    ],
    ids=["deep list", "deep object", "digits", "NaN", "utf-16", "bom", "text", "number", "null", "empty", "cut"],
)
@pytest.mark.parametrize("name", ["manifest.json", ATTESTATION, "report.json"])
def test_json_that_is_no_object_or_runs_away_is_refused(bundle, name, text):
    (bundle / name).write_bytes(text)
    if name == "report.json":
        manifest = json.loads((bundle / "manifest.json").read_text())
        manifest["files"][name] = {"sha256": hashlib.sha256(text).hexdigest(), "bytes": len(text)}
        (bundle / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError):
        load(bundle, PUBLIC if name == ATTESTATION else None)


WRONG = [None, 7, -1, 1.5, True, "x", "", [], ["x"], {}, {"x": 1}, [[]], "\0", 1 << 70]


def everywhere(data, path=()):
    """Every place in a JSON value."""
    yield path
    if isinstance(data, dict | list):
        for key in data if isinstance(data, dict) else range(len(data)):
            yield from everywhere(data[key], (*path, key))


def put(data, path, value):
    if not path:
        return value
    copy = json.loads(json.dumps(data))
    *way, last = path
    at = copy
    for key in way:
        at = at[key]
    at[last] = value
    return copy


def test_every_wrong_type_at_every_place_of_the_manifest_and_the_report_is_a_bundle_error(bundle):
    """What is told apart is loaded or refused; what the loader does not read may hold anything."""
    manifest = json.loads((bundle / "manifest.json").read_text())
    report = json.loads((bundle / "report.json").read_text())
    refused = 0
    for number, path in enumerate(everywhere(manifest)):
        (bundle / "manifest.json").write_text(json.dumps(put(manifest, path, WRONG[number % len(WRONG)])))
        refused += not loads(bundle)
    for number, path in enumerate(everywhere(report)):
        for value in (WRONG[number % len(WRONG)], WRONG[(number + 5) % len(WRONG)]):
            write_report(bundle, manifest, put(report, path, value))
            refused += not loads(bundle)
    assert refused > 60


def write_report(bundle, manifest, report):
    content = json.dumps(report).encode()
    (bundle / "report.json").write_bytes(content)
    listed = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    said = {**manifest, "files": {**manifest["files"], "report.json": listed}}
    (bundle / "manifest.json").write_text(json.dumps(said))


def loads(bundle):
    signal.alarm(10)  # for this one: there are hundreds
    try:
        load(bundle)
    except BundleError:
        return False
    return True


@pytest.mark.parametrize(
    "name",
    ["../model.onnx", "/etc/passwd", "a/../../b", "./spec.json", "a//b", "", ".", "..", "a/", "a\0b", "\ud800", "a\nb"],
)
def test_a_name_that_leads_out_of_the_bundle_or_cannot_be_seen_is_refused(bundle, name):
    assert not inside(name)
    manifest = json.loads((bundle / "manifest.json").read_text())
    (bundle / "manifest.json").write_text(
        json.dumps({**manifest, "files": {**manifest["files"], name: manifest["files"]["spec.json"]}})
    )
    with pytest.raises(BundleError, match="which does not name a file inside it"):
        load(bundle)
    with pytest.raises(ModelError, match="which does not name a file inside it"):
        open_bundle(bundle)


def test_a_folder_with_more_than_any_bundle_holds_is_not_walked_to_its_end(bundle):
    for number in range(1001):
        (bundle / f"{number}").touch()
    with pytest.raises(BundleError, match="it holds more than 1000 files"):
        load(bundle, PUBLIC)
    with pytest.raises(ModelError, match="it holds more than 1000 files"):
        open_bundle(bundle)
