"""onnxruntime-web as `edgefair target prepare` leaves it on this machine: its version, and files by their digests."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Dict, Mapping

from edgefair.probe.errors import ProbeError

NAME, VERSION = "onnxruntime-web", "1.30.0"
# What a page loads for a provider, the module first, and the digests that these files of this version have.
FILES: Mapping[str, Mapping[str, str]] = {
    "wasm": {
        "ort.wasm.min.mjs": "219e6a1fc8a9938268d18efca3c91d310bd2f4a59bbd13744df5b2b7fc6cee3b",
        "ort-wasm-simd-threaded.mjs": "e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b",
        "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
    },
    "webgpu": {
        "ort.webgpu.min.mjs": "3dffff71811bc13a3a3d9591c57ca5ee5735b8f5f3eaf789510b02bb040ae3a0",
        "ort-wasm-simd-threaded.asyncify.mjs": "3d1c85995364bb643302fc6fd877a0c3ba5ae72401815e0f24828a53d9191e28",
        "ort-wasm-simd-threaded.asyncify.wasm": "39f9f0894d478800487ed9f7dbe92618498db320cf55c8e3d89adff8dce658da",
    },
}
PREPARE = "run `edgefair target prepare web:wasm` on the device (it needs npm)"


def package_folder() -> Path:
    """Where its files are kept: below $XDG_CACHE_HOME, by default ~/.cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "edgefair" / "targets" / f"{NAME}-{VERSION}"


def is_prepared() -> bool:
    """Whether all its files are there."""
    folder = package_folder()
    return all((folder / name).is_file() for files in FILES.values() for name in files)


def read_files(provider: str) -> Dict[str, bytes]:
    """The files of a provider by name.

    Raises:
        ProbeError: `no_runtime`, where one is missing or is not the file of that version.
    """
    folder, found = package_folder(), {}
    for name, digest in FILES[provider].items():
        try:
            found[name] = (folder / name).read_bytes()
        except OSError as error:
            raise ProbeError("no_runtime", f"{NAME} {VERSION} is not prepared ({error.strerror}): {PREPARE}") from error
        if hashlib.sha256(found[name]).hexdigest() != digest:
            raise ProbeError("no_runtime", f"'{folder / name}' is not the file of {NAME} {VERSION}: {PREPARE}")
    return found
