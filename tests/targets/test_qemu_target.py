"""Real QEMU running the real probe: the numerics of a processor that this machine has not."""

import numpy as np
import pytest

from edgefair.errors import MeasurementError, UsageError
from edgefair.probe.device import saturates_int8
from edgefair.progress import silent
from edgefair.targets import load_profile, open_target, transport_of
from edgefair.targets.sections import DeviceClass
from edgefair.targets.transports import prefix
from edgefair.targets.transports.emulation import CPUS, EmulatedCpu
from tests.targets.onnx_models import batches, classifier, saturating

BRIGHT_AND_DARK = np.repeat([[255.0], [100.0]], 4, axis=0).repeat(8, axis=1).astype(np.float32)


def ready(name):
    """The profile of a target, or a skip that says what is missing here."""
    profile = load_profile(name)
    lacks = transport_of(profile).lacks()
    if lacks is not None:
        pytest.skip(lacks)
    return profile


@pytest.fixture(scope="module")
def haswell():
    with open_target(ready("qemu:haswell"), timeout_s=60) as probe:
        yield probe


def decisions(probe, path):
    loaded = probe.load(path, name=path.name)
    (answer,) = probe.run(loaded, iter([{"x": BRIGHT_AND_DARK}]), ["decision"])
    return answer["decision"].tolist()


@pytest.mark.target
def test_without_vnni_bright_rows_saturate_and_seven_bit_weights_repair_them(haswell, tmp_path):
    assert decisions(haswell, saturating(tmp_path / "full.onnx")) == [0, 0, 0, 0, 1, 1, 1, 1]
    assert decisions(haswell, saturating(tmp_path / "reduced.onnx", reduce_range=True)) == [1] * 8


@pytest.mark.target
@pytest.mark.parametrize("cpu", ["cortex-a72", "cortex-a76"])
def test_arm_decides_the_same_bytes_without_saturation_and_the_zipapp_runs_there_unchanged(tmp_path, cpu):
    with open_target(ready(f"qemu:{cpu}"), timeout_s=60) as probe:
        assert decisions(probe, saturating(tmp_path / "full.onnx")) == [1] * 8
        assert probe.device["machine"] == "aarch64"


@pytest.mark.target
def test_an_emulated_device_claims_no_instruction_that_it_lacks_and_nothing_of_its_host(haswell):
    device = haswell.device
    assert device["machine"] == "x86_64"
    assert {"avx2", "fma"} <= set(device["flags"])
    assert not [flag for flag in device["flags"] if "512" in flag or "vnni" in flag]
    assert saturates_int8(device)
    assert device["emulated"] == "QEMU, -cpu haswell"
    assert not device.keys() & {"cores", "governor", "temperature_c", "system"}


@pytest.mark.target
def test_many_rows_pass_through_the_emulator_in_order(haswell, tmp_path):
    x, parts = batches(1000, 64)
    loaded = haswell.load(classifier(tmp_path / "m.onnx"), name="m")
    found = np.concatenate([item["decision"] for item in haswell.run(loaded, iter(parts), ["decision"])])
    assert np.array_equal(found, (x @ np.array([[1, -1], [0.5, -0.5]], dtype=np.float32)).argmax(1))


def test_without_qemu_the_error_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MeasurementError, match=r"qemu-x86_64 is not installed(.|\n)*apt-get install qemu-user-static"):
        open_target(load_profile("qemu:haswell")).__enter__()


def test_a_processor_that_is_not_emulated_names_those_that_are():
    with pytest.raises(UsageError, match=r"'skylake-avx512' is not emulated\nexpected: one of haswell, .*AVX-512"):
        load_profile("qemu:skylake-avx512")


def test_every_emulated_processor_has_a_shipped_profile_with_explicit_numerics_and_no_clock():
    for name, cpu in CPUS.items():
        profile = load_profile(f"qemu:{name}")
        assert (profile.name, profile.cpu) == (f"qemu:{name}", name)
        assert profile.device.machine == cpu.machine
        assert profile.reduce_range == profile.device.saturates_int8 is not None
        assert not profile.latency.measured


@pytest.mark.parametrize(
    ("device", "found"),
    [
        ({"machine": "x86_64"}, ("the device is aarch64", "x86_64")),
        ({"flags": ("asimd", "i8mm")}, ("the device lacks i8mm", "a processor with asimd, i8mm")),
        ({"machine": "aarch64", "flags": ("asimd",), "saturates_int8": False}, None),
    ],
)
def test_a_device_of_another_class_than_its_profile_is_told_apart(device, found):
    fault = DeviceClass(**device).mismatch({"machine": "aarch64", "flags": ["asimd", "asimddp"]})
    assert (fault and (fault.found, fault.expected)) == found


def test_a_device_of_another_class_than_its_profile_is_not_measured():
    profile = load_profile("local").model_copy(update={"device": DeviceClass(machine="sparc64")})
    with pytest.raises(MeasurementError, match=r"the device is .*\nexpected: sparc64"), open_target(profile):
        pass


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("transport: qemu\nlatency: {measured: false}\n", "transport qemu needs it"),
        ("transport: local\ncpu: haswell\n", "`cpu` belongs to transport qemu"),
        ("transport: qemu\ncpu: haswell\n", "emulator's clock does not measure latency"),
        ("transport: local\ndevice: {flag: [avx2]}\n", r"unknown key 'device.flag' \(did you mean 'flags'"),
    ],
)
def test_a_profile_that_contradicts_its_transport_is_a_usage_error(tmp_path, lines, message):
    (tmp_path / "mine.yaml").write_text(f"name: mine\n{lines}")
    with pytest.raises(UsageError, match=message):
        load_profile(str(tmp_path / "mine.yaml"))


# Preparing ----------------------------------------------------------------------------------------------------------

FOREIGN = EmulatedCpu("far-cpu", "sparc64", "far", "processor\t: 0\n")


class Archives:
    """Stands in for apt-get, pip and dpkg-deb: notes what was asked, and fails where the command holds `broken`."""

    def __init__(self):
        self.broken = None
        self.asked = []

    def __call__(self, command, *, cwd, what):
        self.asked.append(command[0])
        if self.broken in command:
            raise MeasurementError(f"no {what}")
        if command[0] == "dpkg-deb":
            (cwd / "system" / "root" / "usr").mkdir(exist_ok=True)


@pytest.fixture
def archives(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(prefix, "KEYRING", tmp_path)
    monkeypatch.setattr(prefix, "_apt", lambda work, architecture: [])
    monkeypatch.setattr(prefix, "DEBIAN_ARCHITECTURES", {"sparc64": "sparc64"})
    tools = Archives()
    monkeypatch.setattr(prefix, "_tool", tools)
    return tools


def names(folder):
    return sorted(item.name for item in folder.iterdir() if not item.name.startswith("."))


def test_a_target_that_is_not_prepared_says_which_command_prepares_it(archives):
    with pytest.raises(MeasurementError, match="edgefair target prepare qemu:far-cpu"):
        prefix.open_prefix(FOREIGN)


def test_a_preparation_that_failed_shows_no_half_a_system_and_the_next_one_goes_on(archives):
    archives.broken = "pip"
    with pytest.raises(MeasurementError, match="no the wheels of numpy=="):
        prefix.build_system("sparc64", silent)
    assert names(prefix.cache_folder("targets")) == []
    (work,) = prefix.cache_folder("targets").glob(".*.partial")
    (work / "debs" / "kept.deb").touch()
    archives.broken = None
    system = prefix.build_system("sparc64", silent)
    assert archives.asked[-1] == "dpkg-deb", "the package of the first attempt was unpacked"
    assert names(prefix.cache_folder("targets")) == [system.name]
    assert not work.exists()


def test_a_prepared_system_is_used_again_and_its_prefix_has_the_processors_own_cpuinfo(archives):
    prefix.build_system("sparc64", silent)
    asked = len(archives.asked)
    prefix.build_system("sparc64", silent)
    assert len(archives.asked) == asked
    (prefix.system_path("sparc64") / "root" / "lib").mkdir()
    made = prefix.open_prefix(FOREIGN)
    assert made == prefix.open_prefix(FOREIGN)
    assert (made / "proc" / "cpuinfo").read_text() == FOREIGN.cpuinfo
    assert (made / "lib").resolve() == prefix.system_path("sparc64") / "root" / "lib"


def test_a_tool_that_is_missing_or_fails_is_named(monkeypatch, tmp_path):
    with pytest.raises(MeasurementError, match="no-such-tool is not installed, and is needed to get the packages"):
        prefix._tool(["no-such-tool"], cwd=tmp_path, what="the packages")
    with pytest.raises(MeasurementError, match=r"could not get the packages \(exit code 7\): E: no route"):
        prefix._tool(["sh", "-c", "echo 'E: no route' >&2; exit 7"], cwd=tmp_path, what="the packages")


def test_a_cache_that_cannot_be_written_is_a_measurement_error(monkeypatch, tmp_path):
    (tmp_path / "edgefair").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(MeasurementError, match="the cache cannot be written"):
        prefix.open_prefix(next(cpu for cpu in CPUS.values() if not cpu.foreign))
    with pytest.raises(MeasurementError, match="cannot be built"):
        prefix.build_system("aarch64", silent)
