"""onnxruntime-web, in a browser that the probe starts."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgefair.errors import EdgefairError, MeasurementError, ModelError
from edgefair.files import sha256_file
from edgefair.locks import held_folder
from edgefair.probe.browser.chromium import INSTALL, find_browser
from edgefair.probe.browser.package import FILES, NAME, VERSION, is_prepared, package_folder
from edgefair.probe.runtimes.onnxruntime_web import split_config
from edgefair.progress import Progress
from edgefair.targets.fault import Fault
from edgefair.targets.loaded import LoadedModel
from edgefair.targets.runtimes.base import HostRuntime, Kernels

WEB = Kernels("onnxruntime-web")
NPM_S = 600.0
# Where a package's files are in the archive that npm fetches.
IN_ARCHIVE = "package/dist"


@dataclass(frozen=True)
class OnnxRuntimeWeb(HostRuntime):
    """See `HostRuntime`."""

    def kernels(self, providers: Sequence[str]) -> Kernels:
        """Its own, of whatever provider."""
        return WEB

    def runs_on(self, providers: Sequence[str]) -> str:
        """The runtime: which provider it is, its settings say."""
        return self.name

    def check_config(self, config: Mapping[str, str]) -> None:
        """Session entries, as for onnxruntime, and the adapter."""
        split_config(config)

    def lacks(self, session: Mapping[str, Any]) -> str | None:
        """A browser, or the package."""
        if find_browser() is None:
            return f"no browser: {INSTALL}"
        return None if is_prepared() else f"not prepared: `edgefair target prepare web:{session['providers'][0]}`"

    def prepare(self, progress: Progress) -> None:
        """Fetch the package by npm, unless its files are there already; they appear whole or not at all.

        Raises:
            MeasurementError: no browser, no npm, no registry, or files other than those of the version.
        """
        if find_browser() is None:
            raise MeasurementError("there is no browser that could run onnxruntime-web", fix=INSTALL)
        folder = package_folder()
        if all(_is(folder / name, digest) for name, digest in DIGESTS.items()):
            return
        progress.stage(f"fetching {NAME} {VERSION}")
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with held_folder(folder.parent, f".{folder.name}.partial-") as work:
                made = _unpacked(_fetched(work), work / "made")
                shutil.rmtree(folder, ignore_errors=True)
                made.rename(folder)
        except (OSError, KeyError, tarfile.TarError) as error:
            raise MeasurementError(
                f"{NAME} {VERSION} cannot be kept in '{folder}': {error}",
                fix="is the disk full, or the cache not yours?",
            ) from error

    def elsewhere(self, model: LoadedModel, providers: Sequence[str]) -> Fault | None:
        """On another provider, or in no browser."""
        if model.engine and model.providers == tuple(providers):
            return None
        return Fault(
            f"'{model.path}' runs on {', '.join(model.providers) or 'nothing'}",
            expected=f"{', '.join(providers)} in a browser, as the profile requires",
        )

    def unloadable(self, path: Path, why: str, *, target: str, device: Mapping[str, Any]) -> EdgefairError:
        """The model is to blame: what a browser gets is the whole of onnxruntime-web."""
        return ModelError(
            f"'{path}' cannot be loaded by {NAME} {VERSION}: {why}",
            expected="a graph of operators that its build for browsers has",
            fix="export the model without that operator, or choose another target",
        )


DIGESTS = {name: digest for files in FILES.values() for name, digest in files.items()}
RUNTIME = OnnxRuntimeWeb(
    "onnxruntime_web",
    identity=("onnxruntime_web",),
    engine_facts={"browser": str, "sandboxed": bool, "onnxruntime_web": str, "wasm_sha256": str, "adapter": str},
    engine_identity=("browser", "onnxruntime_web", "wasm_sha256", "adapter"),
    engine_shown=("browser", "adapter"),
)


def _fetched(work: Path) -> Path:
    """The package's archive, as npm fetches it: by the user's own configuration of npm, and without running scripts."""
    command = ["npm", "pack", f"{NAME}@{VERSION}", "--ignore-scripts", "--silent", "--pack-destination", str(work)]
    try:
        done = subprocess.run(
            command, cwd=work, capture_output=True, text=True, errors="replace", timeout=NPM_S, check=False
        )
    except FileNotFoundError as error:
        raise MeasurementError(
            f"npm is not installed, and is needed to fetch {NAME} {VERSION}",
            fix="install npm (Debian, Ubuntu: apt-get install npm)",
        ) from error
    except subprocess.TimeoutExpired as error:
        raise MeasurementError(f"npm did not fetch {NAME} {VERSION} within {NPM_S:g} s") from error
    found = next(work.glob("*.tgz"), None)
    if done.returncode or found is None:
        said = " ".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-3:])
        raise MeasurementError(
            f"npm could not fetch {NAME} {VERSION} (exit code {done.returncode}): {said}",
            fix="is the registry reachable?",
        )
    return found


def _unpacked(archive: Path, made: Path) -> Path:
    """A folder with the files that a page loads, each of them checked."""
    made.mkdir()
    with tarfile.open(archive) as package:
        for name, digest in DIGESTS.items():
            stream = package.extractfile(f"{IN_ARCHIVE}/{name}")
            (made / name).write_bytes(b"" if stream is None else stream.read())
            if not _is(made / name, digest):
                raise MeasurementError(f"'{name}' is not the file of {NAME} {VERSION}", expected=f"sha256 {digest}")
    return made


def _is(path: Path, digest: str) -> bool:
    return path.is_file() and sha256_file(path) == digest
