"""What an emulated processor finds as its file system: a /proc/cpuinfo of its own, and a Python that it can run.

A foreign system (aarch64 on an x86 host, or the other way round) is put together from Debian's packages and PyPI's
wheels, without root and without touching the host's package lists, once per version of numpy and onnxruntime.
"""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgefair.errors import MeasurementError
from edgefair.files import cache_folder, sha256_json
from edgefair.locks import held_folder, hold
from edgefair.progress import Progress
from edgefair.targets.transports.emulation import EmulatedCpu
from edgefair.versions import versions_of

SUITE = "bookworm"
MIRROR = "http://deb.debian.org/debian"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
PYTHON = "3.11"
PACKAGES = (
    f"python{PYTHON}-minimal", f"libpython{PYTHON}-minimal", f"libpython{PYTHON}-stdlib", "libc6", "libgcc-s1",
    "libstdc++6", "zlib1g", "libbz2-1.0", "libexpat1", "libffi8", "liblzma5", "libssl3",
)  # fmt: skip
WHEELS = ("numpy", "onnxruntime")
DEBIAN_ARCHITECTURES: Mapping[str, str] = {"aarch64": "arm64", "x86_64": "amd64"}
TOOL_TIMEOUT_S = 900.0


def _prepared() -> Path:
    """Where prepared targets are kept."""
    return cache_folder("targets")


def system_path(machine: str) -> Path:
    """Where the foreign system for a kind of processor lies, or will lie, with this machine's runtime versions."""
    recipe = sha256_json([SUITE, PYTHON, PACKAGES, _wheels()])
    return _prepared() / f"{machine}-{recipe[:12]}"


def open_prefix(cpu: EmulatedCpu) -> Path:
    """The prefix (QEMU's -L) of a processor: its /proc/cpuinfo and, where it is foreign, links to its system.

    Raises:
        MeasurementError: the processor is foreign and its system was not prepared, or the cache cannot be written.
    """
    system = system_path(cpu.machine) if cpu.foreign else None
    if system is not None and not system.is_dir():
        raise MeasurementError(
            f"target 'qemu:{cpu.name}' is not prepared: there is no {cpu.machine} system in '{_prepared()}'",
            fix=f"run `edgefair target prepare qemu:{cpu.name}` (needs apt-get, dpkg-deb and about 200 MB)",
        )
    links = {} if system is None else {item.name: str(item) for item in sorted((system / "root").iterdir())}
    prefix = _prepared() / f"{cpu.name}-{sha256_json([cpu.cpuinfo, links])[:12]}"
    if prefix.is_dir():
        return prefix
    try:
        _prepared().mkdir(parents=True, exist_ok=True)
        with held_folder(_prepared(), f".{cpu.name}.partial-") as work:
            made = work / "prefix"
            (made / "proc").mkdir(parents=True)
            (made / "proc" / "cpuinfo").write_text(cpu.cpuinfo, encoding="utf-8")
            for name, to in links.items():
                (made / name).symlink_to(to)
            _put_in_place(made, prefix)
    except OSError as error:
        raise MeasurementError(f"target 'qemu:{cpu.name}': the cache cannot be written: {error}") from error
    return prefix


def build_system(machine: str, progress: Progress) -> Path:
    """Download and unpack the foreign system, unless it is there already.

    What was downloaded by a call that failed or was killed is used again; the system appears whole or not at all.

    Args:
        progress: told before each part.

    Raises:
        MeasurementError: a tool is missing, or packages or wheels cannot be downloaded or unpacked.
    """
    system = system_path(machine)
    work = system.with_name(f".{system.name}.partial")
    try:
        _prepared().mkdir(parents=True, exist_ok=True)
        waiting = functools.partial(progress.step, 0, 3, "waiting for another `edgefair target prepare`")
        with hold(system.with_name(f".{system.name}.lock"), waiting=waiting):
            if not system.is_dir():
                work.mkdir(exist_ok=True)
                _download_and_unpack(machine, work, progress)
                _put_in_place(work / "system", system)
            shutil.rmtree(work, ignore_errors=True)
    except (OSError, zipfile.BadZipFile) as error:
        raise MeasurementError(
            f"the {machine} system cannot be built in '{work}': {error}", fix="is the disk full, or a download damaged?"
        ) from error
    return system


def _download_and_unpack(machine: str, work: Path, progress: Progress) -> None:
    progress.step(0, 3, f"Debian packages for {machine}")
    debs = work / "debs"
    debs.mkdir(exist_ok=True)
    options = _apt(work, DEBIAN_ARCHITECTURES[machine])
    _tool(["apt-get", *options, "-q", "update"], cwd=work, what="the package lists")
    _tool(["apt-get", *options, "-q", "download", *PACKAGES], cwd=debs, what="the packages")
    progress.step(1, 3, f"wheels for {machine}")
    wheels = work / "wheels"
    platforms = [f"--platform=manylinux_2_{minor}_{machine}" for minor in (28, 27, 17)]
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "-d", str(wheels)]
    pins = [f"{name}=={version}" for name, version in _wheels().items()]
    _tool([*pip, *platforms, f"--python-version={PYTHON}", *pins], cwd=work, what=f"the wheels of {', '.join(pins)}")
    progress.step(2, 3, "unpacking")
    made = work / "system"
    shutil.rmtree(made, ignore_errors=True)
    (made / "root").mkdir(parents=True)
    for deb in sorted(debs.glob("*.deb")):
        _tool(["dpkg-deb", "-x", str(deb), str(made / "root")], cwd=work, what=deb.name)
    for wheel in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(made / "site")


def _apt(work: Path, architecture: str) -> list[str]:
    """Options under which apt-get knows one architecture and one source, and keeps all its state in `work`.

    Raises:
        MeasurementError: Debian's keys are not there to check the packages with.
    """
    if not KEYRING.is_file():
        raise MeasurementError(
            f"no '{KEYRING}' to check Debian's packages with", fix="apt-get install debian-archive-keyring"
        )
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (work / folder).mkdir(parents=True, exist_ok=True)
    (work / "state" / "status").touch()
    sources = work / "sources.list"
    sources.write_text(f"deb [arch={architecture} signed-by={KEYRING}] {MIRROR} {SUITE} main\n")
    settings = {
        "Dir::State": work / "state",
        "Dir::State::status": work / "state" / "status",
        "Dir::Cache": work / "cache",
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "-",
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "APT::Update::Error-Mode": "any",
        "Acquire::Languages": "none",
        "APT::Sandbox::User": "root",
    }
    return [part for key, value in settings.items() for part in ("-o", f"{key}={value}")]


def _wheels() -> dict[str, str]:
    """The runtime's packages with this machine's versions: devices then differ by their processor alone."""
    return versions_of(WHEELS)


def _tool(command: Sequence[str], *, cwd: Path, what: str) -> None:
    try:
        done = subprocess.run(
            command, cwd=cwd, capture_output=True, text=True, errors="replace", timeout=TOOL_TIMEOUT_S, check=False
        )
    except FileNotFoundError as error:
        raise MeasurementError(
            f"{command[0]} is not installed, and is needed to get {what}",
            fix="prepare the target on Debian or Ubuntu, or in a container of one",
        ) from error
    except subprocess.TimeoutExpired as error:
        raise MeasurementError(f"{command[0]} did not finish {what} within {TOOL_TIMEOUT_S:g} s") from error
    if done.returncode:
        said = " ".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-3:])
        raise MeasurementError(
            f"{command[0]} could not get {what} (exit code {done.returncode}): {said}",
            fix="is the archive reachable? What was downloaded so far is kept: run the command again",
        )


def _put_in_place(made: Path, path: Path) -> None:
    """Give a finished folder its name, unless another process has just done so."""
    try:
        made.rename(path)
    except OSError:
        shutil.rmtree(made, ignore_errors=True)
        if not path.is_dir():
            raise
