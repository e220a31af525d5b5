"""Real containers running the real probe, and engines and images that are not as they should be."""

import json
import os
import platform
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper

from edgefair.cli import main
from edgefair.errors import MeasurementError, UsageError
from edgefair.probe.bundles.gates import LATENCY
from edgefair.progress import silent
from edgefair.targets import TargetProfile, load_profile, open_target, transport_of
from edgefair.targets.transports import container
from edgefair.targets.transports.images import ARCHITECTURES
from tests.targets.containers import PREFIX, working
from tests.targets.onnx_models import batches, classifier, save, value
from tests.targets.people import gate, report, write_project

ID = "sha256:" + "5" * 64
QUICK = {"warmup": 1, "min_queries": 100, "min_seconds": 0}


@pytest.fixture(scope="module")
def engine():
    found = working()
    if isinstance(found, str):
        pytest.skip(found)
    with pytest.MonkeyPatch.context() as patch:
        for key, setting in found.environment.items():
            patch.setenv(key, setting)
        patch.setattr(container, "PREFIX", PREFIX)
        yield found
        assert found.containers() == [], "every container is gone"


@pytest.fixture(scope="module")
def image(engine):
    return engine.image()


def profile(image, **settings):
    return TargetProfile.model_validate(
        {"name": "boxed", "transport": "container", "container": {"image": image, **settings}, "latency": QUICK}
    )


# Real containers ------------------------------------------------------------------------------------------------------


@pytest.mark.target
def test_decisions_in_a_container_are_the_runtimes_own_and_the_device_names_the_image(engine, image, tmp_path):
    x, parts = batches(1000, 64)
    with open_target(profile(image, engine=engine.program), timeout_s=60) as probe:
        loaded = probe.load(classifier(tmp_path / "m.onnx"), name="m")
        found = np.concatenate([item["decision"] for item in probe.run(loaded, iter(parts), ["decision"])])
        device = probe.device
        (running,) = json.loads(engine.ask("container", "inspect", *engine.containers()))
    assert np.array_equal(found, (x @ np.array([[1, -1], [0.5, -0.5]], dtype=np.float32)).argmax(1))
    (inspected,) = json.loads(engine.ask("image", "inspect", image))
    assert device["container"] == {
        "image": image,
        "engine": engine.program,
        "id": "sha256:" + inspected["Id"].removeprefix("sha256:"),
        "architecture": ARCHITECTURES[platform.machine()],
    }
    assert (running["HostConfig"]["NetworkMode"], running["HostConfig"]["ReadonlyRootfs"]) == ("none", True)
    assert running["Mounts"] == []
    assert engine.containers() == []


@pytest.mark.target
def test_a_verdict_of_a_container_has_latency_and_the_image_in_report_and_record(image, tmp_path, quiet_device):
    project, record = write_project(tmp_path), tmp_path / "raw.npz"
    path = project / "boxed.yaml"
    path.write_text(json.dumps(profile(image, cpus=1, memory="500m").model_dump(mode="json", exclude_unset=True)))
    command = ("verify", project, project / "model.onnx", "--target", path, "--record", record)
    code, found = report(*command, "--max-latency-p90", 1000)
    assert (code, gate(found, LATENCY)["outcome"]) == (0, "PASS")
    device = found["targets"][0]["device"]
    assert (device["container"]["image"], device["container"]["memory"]) == (image, "500m")
    _, again = report("verify", project, "--from-record", record)
    assert again["targets"][0]["device"] == device


@pytest.mark.target
def test_a_probe_that_needs_more_memory_than_the_container_has_is_a_failed_measurement(image, tmp_path):
    path = save(
        tmp_path / "m.onnx",
        [helper.make_node("Expand", ["x", "size"], ["y"])],
        [value("x", TensorProto.FLOAT, ["n", 1])],
        [value("y", TensorProto.FLOAT, ["n", None])],
        [numpy_helper.from_array(np.array([1, 1 << 29]), "size")],
    )
    with open_target(profile(image, memory="256m"), timeout_s=60) as probe:
        loaded = probe.load(path, name="m")
        with pytest.raises(MeasurementError, match=r"killed by SIGKILL.*exit code 137(.|\n)*raise container.memory"):
            list(probe.run(loaded, iter([{"x": np.ones((1, 1), dtype=np.float32)}]), ["y"]))


@pytest.mark.target
def test_a_probe_that_hangs_is_given_up_and_its_container_removed(engine, image, tmp_path):
    with open_target(profile(image), timeout_s=60) as probe:
        probe._connection.timeout_s = 0.3
        os.kill(first_process(engine), signal.SIGSTOP)
        for child in children(first_process(engine)):
            os.kill(child, signal.SIGSTOP)
        with pytest.raises(MeasurementError, match=r"no answer within 0\.3 s"):
            probe.load(classifier(tmp_path / "m.onnx"), name="m")
    assert engine.containers() == []


@pytest.mark.target
def test_a_probe_that_crashes_says_of_what(engine, image, tmp_path):
    with open_target(profile(image), timeout_s=60) as probe:
        (child,) = children(first_process(engine))
        os.kill(child, signal.SIGABRT)
        with pytest.raises(MeasurementError, match=r"killed by SIGABRT in the container \(exit code 134\)"):
            probe.load(classifier(tmp_path / "m.onnx"), name="m")


@pytest.mark.parametrize(("ends", "code"), [("os.kill(os.getpid(), signal.SIGABRT)", 134), ("os._exit(7)", 7)])
def test_the_first_process_of_a_container_ends_as_its_child_does(ends, code):
    script = f"import os, signal; from edgefair.probe import boot; boot.stand_by(); {ends}"
    done = subprocess.run([sys.executable, "-c", script], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (code, b"")


@pytest.mark.target
def test_a_host_that_is_killed_leaves_no_container_at_work(engine, image):
    script = f"""
import sys
from edgefair.targets import *
from edgefair.targets.transports import container
container.PREFIX = {PREFIX!r}
with open_target(TargetProfile.model_validate({profile(image).model_dump(mode="json", exclude_unset=True)!r})):
    print("ready", flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as host:
        assert host.stdout.readline() == "ready\n"
        probe = os.pidfd_open(first_process(engine))
        host.kill()
    assert select.select([probe], [], [], 30)[0], "the probe is still alive"
    for name in engine.containers():
        engine.remove(name)


def first_process(engine):
    """Process id, on this machine, of the first process of the one container that runs."""
    return int(engine.ask("container", "inspect", "--format", "{{.State.Pid}}", *engine.containers()))


def children(process):
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


@pytest.mark.target
def test_an_image_without_onnxruntime_or_without_python_says_what_an_image_needs(engine, image):
    with pytest.raises(MeasurementError, match=r"has no onnxruntime\nto fix: install it there, or set another"):
        open_target(profile(engine.without_onnxruntime(image)), timeout_s=60).__enter__()
    with pytest.raises(MeasurementError, match=r"no-python(.|\n)*container.python in the profile"):
        open_target(profile(image, python="no-python"), timeout_s=60).__enter__()


@pytest.mark.target
def test_an_image_that_is_absent_is_not_pulled_and_a_preparation_says_how_to_get_it(engine):
    done = CliRunner().invoke(main, ["target", "prepare", "container:localhost/edgefair-absent:1"])
    assert done.exit_code == 4
    assert f"{engine.program} has no image 'localhost/edgefair-absent:1'" in done.stderr
    assert "pull localhost/edgefair-absent:1`: images are never pulled during a measurement" in done.stderr


@pytest.mark.target
def test_an_image_that_is_another_than_the_profile_pins_is_not_measured(image):
    with pytest.raises(MeasurementError, match=rf"the id of image '.*' is sha256:.*\nexpected: {ID}"):
        open_target(profile(image, id=ID))


@pytest.mark.target
def test_a_prepared_container_says_what_it_is(image):
    done = CliRunner().invoke(main, ["target", "prepare", f"container:{image}", "--json"])
    assert json.loads(done.stdout)["container"]["image"] == image
    assert transport_of(profile(image)).lacks() is None


# What no engine here can be brought to --------------------------------------------------------------------------------

ENGINE = """\
#!{python}
import os, sys
if sys.argv[1] == "image":
    answer = {answer!r}
    code = {code}
    os.write(2 if code else 1, answer.encode())
    sys.exit(code)
if sys.argv[1] == "run":
    os.execv(sys.executable, [sys.executable, *sys.argv[sys.argv.index({id!r}) + 1:]])
"""


@pytest.fixture
def pretended(tmp_path, monkeypatch):
    """Puts engines on the PATH that describe their image so, and run the probe as a process of this machine."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (tmp_path / "bin" / "python3").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(container, "FOLDER", str(tmp_path / "device"))

    def pretend(program, answer, code=0):
        path = tmp_path / "bin" / program
        path.write_text(ENGINE.format(python=sys.executable, answer=answer, code=code, id=ID))
        path.chmod(0o755)

    return pretend


def described(architecture, system="linux"):
    return json.dumps([{"Id": ID, "Architecture": architecture, "Os": system}])


def test_an_image_for_another_kind_of_processor_is_emulated_and_its_latency_never_measured(pretended, tmp_path):
    pretended("docker", described("riscv64"))
    project = write_project(tmp_path)
    code, found = report(
        "verify", project, project / "model.onnx", "--target", "container:board:1", "--max-latency-p90", 1000
    )
    assert (code, gate(found, LATENCY)["outcome"]) == (3, "INCONCLUSIVE")
    assert "target 'container:board:1' is emulated" in gate(found, LATENCY)["reason"]
    device = found["targets"][0]["device"]
    assert device["emulated"] == "this machine, for a container of riscv64"
    assert "cores" not in device
    with open_target(load_profile("container:board:1")) as probe:
        probe.load(project / "model.onnx", name="m")
        with pytest.raises(MeasurementError, match="it does not measure latency"):
            probe.latency({"m": ["decision"]}, {"x": np.zeros((1, 2), dtype=np.float32)})


def test_the_engine_that_has_the_image_is_taken_whatever_the_other_one_says(pretended):
    pretended("docker", "Cannot connect to the Docker daemon at unix:///var/run/docker.sock.", 1)
    pretended("podman", described("amd64"))
    with open_target(load_profile("container:board:1")) as probe:
        assert probe.device["container"]["engine"] == "podman"


def test_without_an_engine_the_error_says_what_to_install(pretended):
    with pytest.raises(MeasurementError, match=r"docker and podman are not installed(.|\n)*install docker or podman"):
        open_target(load_profile("container:board:1"))
    with pytest.raises(MeasurementError, match=r"podman is not installed"):
        open_target(profile("board:1", engine="podman"))


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        (
            {"docker": ("Cannot connect to the Docker daemon. Is the docker daemon running?", 1)},
            r"docker cannot be used: Cannot connect to the Docker daemon(.|\n)*start its service",
        ),
        (
            {"docker": ("permission denied", 1), "podman": ("Error: board:1: image not known", 125)},
            r"docker cannot be used: permission denied; podman has no image 'board:1'(.|\n)*`podman pull board:1`",
        ),
        ({"podman": ("no JSON", 0)}, "has an invalid description"),
        ({"podman": ("[]", 0)}, "has an invalid description"),
        ({"podman": (described("amd64", "windows"), 0)}, r"is for windows\nexpected: an image for Linux"),
    ],
)
def test_an_engine_that_is_of_no_use_is_a_failed_measurement_with_its_own_words(pretended, answers, message):
    for program, (answer, code) in answers.items():
        pretended(program, answer, code)
    with pytest.raises(MeasurementError, match=message):
        open_target(load_profile("container:board:1"))


@pytest.mark.parametrize(
    ("code", "said", "found", "fix"),
    [
        (137, "", r"killed by SIGKILL in the container \(exit code 137\)", "out of memory"),
        (139, "", "killed by SIGSEGV", None),
        (255, "", "killed by signal 127", None),
        (1, "exec /usr/bin/python3: exec format error", "another architecture", "qemu-user-static"),
        (1, "ModuleNotFoundError: No module named 'numpy'", "has no numpy", "numpy and onnxruntime"),
        (69, "Python 3.8 is too old", r"exit code 69.*3\.8 is too old", r"Python 3\.9"),
        (125, "Error: no cgroups", r"exit code 125\); it said: Error: no cgroups", None),
        (-9, "", "killed by SIGKILL", None),
    ],
)
def test_how_a_container_ended_is_said_in_words(code, said, found, fix):
    ending = transport_of(profile("board:1")).ended(code, said)
    assert re.search(found, ending.found)
    assert ending.fix is None if fix is None else re.search(fix, ending.fix)
    assert not ending.dropped


# Profiles -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["container:", "container:-v", "container:a b", "container:a;reboot"])
def test_what_is_no_image_name_is_a_usage_error(name):
    with pytest.raises(UsageError, match=r"names no image\nexpected: for example container:"):
        load_profile(name)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("transport: container\n", "transport container needs it"),
        ("transport: local\ncontainer: {image: a}\n", "`container` belongs to transport container"),
        ("transport: container\ncontainer: {imag: a}\n", r"unknown key 'container.imag' \(did you mean 'image'"),
        ("transport: container\ncontainer: {image: a, memory: lots}\n", "container.memory"),
        ("transport: container\ncontainer: {image: a, cpus: 0}\n", r"container.cpus: .*greater than 0"),
        ("transport: container\ncontainer: {image: a, python: -c}\n", "container.python"),
        (
            "transport: container\ncontainer: {image: a, architecture: s390x}\n",
            "an emulator's clock does not measure latency",
        ),
    ],
)
def test_a_profile_that_contradicts_its_container_is_a_usage_error(tmp_path, lines, message):
    (tmp_path / "mine.yaml").write_text(f"name: mine\n{lines}")
    with pytest.raises(UsageError, match=message):
        load_profile(str(tmp_path / "mine.yaml"))


def test_two_containers_take_turns_with_this_machine():
    from edgefair.workflow.measurement.fleet import load_fleet, on_each

    order = []
    on_each(load_fleet(["container:a", "local", "container:b"]), lambda item, _: order.append(item.name), silent)
    assert order == ["container:a", "local", "container:b"]
