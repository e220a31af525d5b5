import pytest

from edgefair.bundle.manifest import FileEntry, Manifest, open_bundle
from edgefair.bundle.staging import publish, staging
from edgefair.errors import ModelError, UsageError
from edgefair.files import sha256_file, write_atomic
from edgefair.probe.system.linux import exchange


def write_bundle(folder, content):
    (folder / "reference").mkdir()
    for name in ("model.onnx", "notes.json", "report.json", "reference/model.onnx"):
        (folder / name).write_bytes(content)
    files = {
        str(path.relative_to(folder)): FileEntry(sha256_file(path), path.stat().st_size)
        for path in folder.rglob("*")
        if path.is_file()
    }
    manifest = Manifest(files, "PASS", ({"name": "local"},), {"edgefair": "0"}, {"seed": 0}, "p", "2026-11-01")
    write_atomic(folder / "manifest.json", manifest.to_json().encode())


def ship(destination, content):
    with staging(destination) as folder:
        write_bundle(folder, content)
        publish(folder, destination)


def test_a_bundle_is_published_and_replaced_and_nothing_else_is_left(tmp_path):
    ship(tmp_path / "out", b"one")
    assert open_bundle(tmp_path / "out").model.read_bytes() == b"one"
    ship(tmp_path / "out", b"two")
    assert open_bundle(tmp_path / "out").model.read_bytes() == b"two"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_replacing_works_where_folders_cannot_be_exchanged(tmp_path, monkeypatch):
    monkeypatch.setattr("edgefair.bundle.staging.exchange", lambda *_: False)
    ship(tmp_path / "out", b"one")
    ship(tmp_path / "out", b"two")
    assert open_bundle(tmp_path / "out").model.read_bytes() == b"two"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_two_folders_change_places(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    if not exchange(tmp_path / "a", tmp_path / "b"):
        pytest.skip("this file system cannot exchange two folders")
    assert (tmp_path / "a" / "file").read_text() == "b"
    assert (tmp_path / "b" / "file").read_text() == "a"


def test_an_error_while_building_leaves_the_old_bundle(tmp_path):
    ship(tmp_path / "out", b"one")

    def fail():
        with staging(tmp_path / "out") as folder:
            (folder / "model.onnx").write_bytes(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert open_bundle(tmp_path / "out").model.read_bytes() == b"one"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_destination_that_holds_something_else_is_refused_and_kept(tmp_path, kind):
    out = tmp_path / "out"
    if kind == "file":
        out.write_text("mine")
    else:
        out.mkdir()
        (out / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="out"), staging(out):
        pass
    assert (out if kind == "file" else out / "mine.txt").read_text() == "mine"


def test_a_parent_that_is_a_file_is_a_usage_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write"), staging(tmp_path / "file" / "out"):
        pass


@pytest.mark.parametrize("change", ["edit", "remove", "add", "manifest"])
def test_a_bundle_that_was_tampered_with_is_refused(tmp_path, change):
    out = tmp_path / "out"
    ship(out, b"one")
    if change == "edit":
        (out / "model.onnx").write_bytes(b"two")
    elif change == "remove":
        (out / "notes.json").unlink()
    elif change == "add":
        (out / "extra.so").write_bytes(b"x")
    else:
        (out / "manifest.json").write_text("{}")
    with pytest.raises(ModelError):
        open_bundle(out)


def test_a_bundle_without_its_reference_is_whole_for_a_device(tmp_path):
    out = tmp_path / "out"
    ship(out, b"one")
    (out / "reference/model.onnx").unlink()
    assert open_bundle(out).reference is None


def test_a_failed_export_leaves_no_empty_folders_above_the_destination(tmp_path):
    with pytest.raises(RuntimeError), staging(tmp_path / "a/b/out"):
        raise RuntimeError
    assert not (tmp_path / "a").exists()
    ship(tmp_path / "a/b/out", b"one")
    assert open_bundle(tmp_path / "a/b/out").model.read_bytes() == b"one"
