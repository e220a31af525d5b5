"""A real container engine, and an image made of this Python with its numpy and onnxruntime."""

import contextlib
import functools
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from importlib.metadata import version
from pathlib import Path

REPOSITORY = "localhost/edgefair-test"
# Of the names of this run's containers.
PREFIX = f"edgefair-test-{os.getpid()}-"
# What the image can do without, to be small.
LEFT_OUT = {"__pycache__", "test", "tests", "idlelib", "ensurepip", "tkinter", "transformers", "tools", "site-packages"}
# For a machine on which podman's defaults cannot start a container: cgroups of version 1, or no right to set limits.
MODEST = """\
[engine]
runtime = "runc"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
"""


class Engine:
    """podman or docker, as it works here.

    Attributes:
        environment: what it needs beside the usual environment.
    """

    def __init__(self, program, environment):
        self.program = program
        self.environment = environment

    def ask(self, *arguments, **options):
        """What the engine answers; an error where it refuses."""
        done = subprocess.run(
            [self.program, *arguments],
            capture_output=True, text=True, env={**os.environ, **self.environment}, timeout=120, check=False, **options,
        )  # fmt: skip
        if done.returncode:
            raise OSError(f"{self.program} {arguments[0]}: {done.stderr.strip()}")
        return done.stdout.strip()

    def containers(self):
        """Names of the containers of this test run that are there, running or not."""
        return self.ask("ps", "--all", "--filter", f"name={PREFIX}", "--format", "{{.Names}}").split()

    def remove(self, name):
        with contextlib.suppress(OSError):  # it is gone already
            self.ask("rm", "--force", name)

    def image(self):
        """Name of the image, which is made where it is absent."""
        name = f"{REPOSITORY}:py{platform.python_version()}-np{version('numpy')}-ort{version('onnxruntime')}"
        if not self.has(name):
            with tempfile.NamedTemporaryFile(suffix=".tar") as file:
                pack(Path(file.name))
                self.ask("import", file.name, name)
        return name

    def without_onnxruntime(self, image):
        """Name of the same image without its onnxruntime."""
        name = f"{image}-bare"
        if not self.has(name):
            code = "import importlib.util as u, pathlib, shutil; "
            code += "shutil.rmtree(pathlib.Path(u.find_spec('onnxruntime').origin).parent)"
            made = f"{PREFIX}bare"
            self.ask("run", "--name", made, image, "python3", "-c", code)
            self.ask("commit", made, name)
            self.remove(made)
        return name

    def has(self, name):
        asked = subprocess.run([self.program, "image", "inspect", name], capture_output=True, check=False)
        return asked.returncode == 0


@functools.cache
def working():
    """An engine that can run a container here, or why there is none."""
    reasons = []
    for program in ("podman", "docker"):
        if shutil.which(program) is None:
            reasons.append(f"{program} is not installed")
            continue
        for environment in ({}, modest()) if program == "podman" else ({},):
            engine = Engine(program, environment)
            try:
                engine.ask("run", "--rm", "--network=none", "--memory=200m", engine.image(), "python3", "-V")
            except (OSError, subprocess.TimeoutExpired) as error:
                reasons.append(str(error))
            else:
                return engine
    return "no container can run here: " + "; ".join(reasons)


def modest():
    path = Path(tempfile.gettempdir()) / f"edgefair-containers-{os.getuid()}.conf"
    path.write_text(MODEST)
    return {"CONTAINERS_CONF": str(path)}


def pack(path):
    """Write the image's files: this Python, its standard library, numpy, onnxruntime, and the libraries they load."""
    python = Path(sys.executable).resolve()
    library = Path(sysconfig.get_path("stdlib"))
    packages = [Path(importlib.util.find_spec(name).origin).parent for name in ("numpy", "onnxruntime")]
    packages += [folder for folder in packages[0].parent.glob("numpy.libs") if folder.is_dir()]
    binaries = [python, *library.glob("lib-dynload/*.so"), *(file for item in packages for file in item.rglob("*.so*"))]
    linked = subprocess.run(["ldd", *binaries], capture_output=True, text=True, check=False).stdout
    with tarfile.open(path, "w") as archive:
        for library_path in sorted(set(re.findall(r"(/\S+) \(0x", linked))):
            if not library_path.startswith(str(packages[0].parent)):
                archive.add(Path(library_path).resolve(), library_path)
        archive.add(python, str(python))
        archive.add(library, str(library), filter=needed)
        for item in packages:
            archive.add(item, f"{library}/site-packages/{item.name}", filter=lambda entry: needed(entry, inside=True))
        link = tarfile.TarInfo("usr/bin/python3")
        link.type, link.linkname = tarfile.SYMTYPE, str(python)
        archive.addfile(link)


def needed(entry, inside=False):
    left_out = LEFT_OUT - {"site-packages"} if inside else LEFT_OUT
    return None if left_out & set(Path(entry.name).parts) or entry.name.endswith((".a", ".h", ".pyc")) else entry
