"""A project is verified, exported and loaded in this process, which has no more than another operating system gives.

    python -m tests.platforms.other_system macos|windows FOLDER [timed]

What is played: the modules and functions that it lacks, files of /proc, names of the machine, and on Windows that open
files are neither moved nor removed, that folders are not opened, and that only what can be written is made durable.
The lock of an open file is filelock's, which has Windows's own there. Prints what was found, as JSON.
"""

import errno
import importlib
import json
import os
import platform
import runpy
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve()
OF_LINUX = ("memfd_create", "sched_getaffinity", "sched_setaffinity", "pidfd_open", "posix_fadvise")
OF_POSIX = (
    *("fork", "forkpty", "killpg", "setpgid", "setsid", "geteuid", "getuid", "getpgid", "pread", "pwrite", "fchmod"),
    *("mkfifo", "statvfs", "uname", "O_NOFOLLOW", "O_DIRECTORY", "O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "set_blocking"),
)
# What these need of their own they have other code for on other systems.
THEIRS = (
    *("click", "cryptography.hazmat.primitives.serialization", "filelock", "jinja2", "numpy", "onnx", "onnxruntime"),
    *("pyarrow.parquet", "pydantic", "rich.console", "scipy.stats", "securesystemslib.signer"),
)
MACHINES = {
    "macos": ("Darwin", "arm64", "arm"),
    "windows": ("Windows", "AMD64", "Intel64 Family 6 Model 140 Stepping 1"),
}


def strip(name):
    """Take away what the system lacks, before anything of edgefair is imported."""
    kernel, machine, processor = MACHINES[name]
    platform.system, platform.machine, platform.processor = lambda: kernel, lambda: machine, lambda: processor
    for lacking in OF_LINUX if name == "macos" else (*OF_LINUX, *OF_POSIX):
        if hasattr(os, lacking):
            delattr(os, lacking)
    if name == "windows":
        for module in ("fcntl", "resource", "pwd", "grp", "termios", "pty"):
            sys.modules[module] = None
        os.supports_dir_fd = frozenset()
        shutil._use_fd_functions = False
        Open().guard()
    real, sys.platform = sys.platform, {"macos": "darwin", "windows": "win32"}[name]
    import edgefair.probe.system.files
    import edgefair.probe.system.linux

    sys.platform = real
    edgefair.probe.system.linux.PROC = Path("/no-such-folder")


class Open:
    """Windows's rules for open files."""

    def __init__(self):
        self.descriptors = Path("/proc/self/fd")
        self.readlink = os.readlink

    def below(self, path):
        """Whether a file, or one in a folder, is open."""
        path = os.path.realpath(path)
        for number in self.descriptors.iterdir():
            try:
                found = self.readlink(number)
            except OSError:
                continue
            if found == path or found.startswith(f"{path}/"):
                return True
        return False

    def guard(self):
        for name in ("replace", "rename", "unlink", "remove", "rmdir"):
            setattr(os, name, self.refusing(getattr(os, name)))
        real_open, real_sync = os.open, os.fsync

        def open_no_folder(path, flags, *rest, **named):
            if Path(path).is_dir():
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return real_open(path, flags, *rest, **named)

        def sync_what_can_be_written(descriptor):
            number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
            flags = int(Path(f"/proc/self/fdinfo/{number}").read_text().split("flags:")[1].split()[0], 8)
            if flags & os.O_ACCMODE == os.O_RDONLY:
                raise OSError(errno.EBADF, "Bad file descriptor")
            real_sync(descriptor)

        os.open, os.fsync = open_no_folder, sync_what_can_be_written

    def refusing(self, act):
        def refuse(path, *rest, **named):
            if self.below(path) or any(self.below(other) for other in rest if isinstance(other, str | Path)):
                raise PermissionError(errno.EACCES, "it is open in this process", str(path))
            return act(path, *rest, **named)

        return refuse


def main(name, folder, *, timed):
    for module in THEIRS:
        importlib.import_module(module)
    strip(name)
    import edgefair
    from edgefair.probe.bundles.runtime import load
    from edgefair.targets.transports import local

    local.sys = type("sys", (), {"executable": sys.executable})
    start = local.start_zipapp
    local.start_zipapp = lambda python, **named: start([*python, str(HERE), name], **named)
    config = edgefair.load_config(folder / "edgefair.yaml", {"policy.max_latency_p90_ms": None})
    shutil.copytree(folder / "dist/people", folder / "out")
    judged = edgefair.verify(config, folder / "dist/people", latency=False)
    dense = folder / "dist/people/reference/model.onnx"
    report = edgefair.export(
        config, model=dense, int8="auto", latency=timed, output=folder / "out", sign=folder / "key.pem"
    )
    loaded = load(folder / "out", public_key=folder / "new.pem")
    found = {
        "outcomes": [str(judged.outcome), str(report.outcome)],
        "report": json.loads((folder / "out/report.json").read_text(encoding="utf-8")),
        "decisions": loaded.predict({"hours": [49.0, 31.0], "years": [10.0, 10.0]}).decision,
        "left": sorted(path.relative_to(folder).as_posix() for path in folder.rglob(".*")),
    }
    print(json.dumps(found))


def probe(name, zipapp):
    """What the started probe runs: the same lack, then the zipapp."""
    sys.path.insert(0, zipapp)
    for module in ("numpy", "onnxruntime"):
        importlib.import_module(module)
    strip(name)
    sys.argv[:] = [zipapp]
    runpy.run_path(zipapp, run_name="__main__")


if __name__ == "__main__":
    if Path(sys.argv[2]).is_dir():
        main(sys.argv[1], Path(sys.argv[2]), timed=sys.argv[3:] == ["timed"])
    else:
        probe(*sys.argv[1:])
