"""What a target in a browser needs, and what is said where it is not there."""

import hashlib
import io
import stat
import tarfile

import pytest

from edgefair.errors import MeasurementError, UsageError
from edgefair.probe.browser import package
from edgefair.probe.bundles.settings import Session
from edgefair.probe.errors import ProbeError
from edgefair.probe.runtimes import onnxruntime_web as probe_side
from edgefair.probe.runtimes.models import open_model
from edgefair.progress import silent
from edgefair.targets import TargetProfile, load_profile, transport_of
from edgefair.targets.runtimes import onnxruntime_web as host_side
from tests.targets.browsers import kept_folders
from tests.targets.onnx_models import classifier

FILES = {"wasm": {"a.mjs": b"export default 1", "a.wasm": b"\0asm"}, "webgpu": {"b.mjs": b"2", "b.wasm": b"3"}}
NPM = """\
#!/bin/sh
echo "$@" > {folder}/asked
[ -f {folder}/package.tgz ] || {{ echo "npm error code ENOTFOUND" >&2; exit 1; }}
for last; do :; done
/bin/cp {folder}/package.tgz "$last/onnxruntime-web-1.30.0.tgz"
"""
OPTIONS = {"runtime": "onnxruntime_web", "providers": ["wasm"], "threads": 1, "optimization": "all", "config": {}}


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A cache of its own, small files in the place of the package's, and a PATH whose programs the test writes."""
    sums = {key: {name: hashlib.sha256(text).hexdigest() for name, text in of.items()} for key, of in FILES.items()}
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for module in (package, probe_side, host_side):
        monkeypatch.setattr(module, "FILES", sums)
    monkeypatch.setattr(host_side, "DIGESTS", {**sums["wasm"], **sums["webgpu"]})
    (tmp_path / "bin").mkdir()
    return tmp_path


def program(machine, name, text="#!/bin/sh\n"):
    path = machine / "bin" / name
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def archive(machine, files):
    with tarfile.open(machine / "package.tgz", "w:gz") as written:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"package/dist/{name}")
            entry.size = len(text)
            written.addfile(entry, io.BytesIO(text))


def target():
    return transport_of(load_profile("web:wasm"))


def test_a_machine_without_a_browser_is_told_what_to_install(machine, tmp_path):
    program(machine, "npm")
    assert "apt-get install chromium" in target().lacks()
    with pytest.raises(MeasurementError, match=r"no browser(.|\n)*apt-get install chromium"):
        target().prepare(silent)
    with pytest.raises(ProbeError, match="no browser on the PATH: install chromium") as caught:
        open_model(classifier(tmp_path / "m.onnx").read_bytes(), OPTIONS)
    assert caught.value.kind == "no_runtime"


def test_a_machine_without_npm_is_told_what_to_install(machine):
    program(machine, "chromium")
    assert target().lacks() == "not prepared: `edgefair target prepare web:wasm`"
    with pytest.raises(MeasurementError, match=r"npm is not installed(.|\n)*apt-get install npm"):
        target().prepare(silent)


def test_a_preparation_fetches_one_version_once_and_keeps_what_pages_load(machine):
    for name, text in (("chromium", "#!/bin/sh\n"), ("npm", NPM.format(folder=machine))):
        program(machine, name, text)
    with pytest.raises(MeasurementError, match=r"npm could not fetch .*ENOTFOUND\nto fix: is the registry reachable"):
        target().prepare(silent)
    archive(machine, {**FILES["wasm"], **FILES["webgpu"], "more.js": b"not needed"})
    target().prepare(silent)
    assert target().lacks() is None
    assert "onnxruntime-web@1.30.0 --ignore-scripts" in (machine / "asked").read_text()
    assert package.read_files("wasm") == FILES["wasm"]
    assert not (package.package_folder() / "more.js").exists()
    (machine / "asked").unlink()
    target().prepare(silent)
    assert not (machine / "asked").exists()
    assert [path.name for path in package.package_folder().parent.iterdir()] == [package.package_folder().name]


def test_files_of_another_version_are_neither_kept_nor_served(machine, tmp_path):
    for name, text in (("chromium", "#!/bin/sh\n"), ("npm", NPM.format(folder=machine))):
        program(machine, name, text)
    archive(machine, {**FILES["wasm"], **FILES["webgpu"], "a.wasm": b"\0own"})
    with pytest.raises(MeasurementError, match=r"'a\.wasm' is not the file of onnxruntime-web"):
        target().prepare(silent)
    archive(machine, {"a.mjs": b"too few"})
    with pytest.raises(MeasurementError, match="is not the file"):
        target().prepare(silent)
    assert not package.package_folder().exists()
    archive(machine, {**FILES["wasm"], **FILES["webgpu"]})
    target().prepare(silent)
    (package.package_folder() / "a.wasm").write_bytes(b"\0own")
    with pytest.raises(ProbeError, match=r"a\.wasm' is not the file of onnxruntime-web .*edgefair target prepare"):
        open_model(classifier(tmp_path / "m.onnx").read_bytes(), OPTIONS)


def test_a_browser_that_does_not_start_is_told_by_its_last_words(machine, tmp_path):
    program(machine, "chromium", '#!/bin/sh\necho "No usable sandbox!" >&2\nexit 3\n')
    program(machine, "npm", NPM.format(folder=machine))
    archive(machine, {**FILES["wasm"], **FILES["webgpu"]})
    target().prepare(silent)
    before = kept_folders()
    with pytest.raises(ProbeError, match=r"exit code 3; it said: No usable sandbox!") as caught:
        open_model(classifier(tmp_path / "m.onnx").read_bytes(), OPTIONS)
    assert caught.value.kind == "no_runtime"
    assert kept_folders() <= before


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"providers": ["CPUExecutionProvider"]},
            "runs on one of wasm, webgpu, and `providers` are CPUExecutionProvider",
        ),
        ({"providers": ["webgpu", "wasm"]}, "`providers` are webgpu, wasm"),
        ({"config": {"adapter": "swiftshader"}}, "`adapter` belongs to provider webgpu"),
        ({"config": {"adapter": "any"}}, "`adapter` is 'any', and may be swiftshader or absent"),
        ({"config": {"session.load_model_format": "ORT"}}, "'session.load_model_format' is not known"),
    ],
)
def test_settings_that_a_browser_does_not_know_are_refused(tmp_path, settings, message):
    with pytest.raises(ProbeError, match=message) as caught:
        open_model(classifier(tmp_path / "m.onnx").read_bytes(), {**OPTIONS, **settings})
    assert caught.value.kind == "bad_request"


def test_a_profile_with_such_settings_is_a_usage_error(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: mine\ntransport: local\nruntime: onnxruntime_web\nproviders: [webgpu]\nconfig: {adapter: any}\n"
    )
    with pytest.raises(UsageError, match="may be swiftshader or absent"):
        load_profile(str(path))


@pytest.mark.parametrize("name", ["web:wasm", "web:webgpu", "web:webgpu-software"])
def test_every_shipped_profile_of_a_browser_has_explicit_numerics(name):
    profile = load_profile(name)
    assert isinstance(profile, TargetProfile)
    assert (profile.name, profile.reduce_range) == (name, False)
    assert profile.latency.measured == (name != "web:webgpu-software")


def test_a_bundle_that_was_judged_in_a_browser_alone_is_not_loaded_by_another_runtime():
    hindrance = Session.of(load_profile("web:wasm").facts).hindrance({})
    assert hindrance.startswith("onnxruntime_web on wasm, and a bundle is loaded with onnxruntime, openvino, ")
