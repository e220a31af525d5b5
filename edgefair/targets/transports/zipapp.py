"""The probe as one file: what is sent to a device is what is tested here."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import edgefair.probe

MAIN = b"import runpy\nrunpy.run_module('edgefair.probe', run_name='__main__', alter_sys=True)\n"
# The first moment that a zip file can name; a fixed one, so that equal sources give equal bytes.
EPOCH = (1980, 1, 1, 0, 0, 0)
# The system that the entries name, for the same reason.
UNIX = 3
# What the probe consists of: its modules, and the script of the page that it opens in a browser.
SOURCES = frozenset({".py", ".js"})

RUNTIME = b"from edgefair.probe.bundles.runtime import BundleError, Model, Prediction, load\n"


def build_zipapp() -> bytes:
    """A Python zip application of `edgefair.probe` and nothing else, the same bytes for the same sources."""
    return _zip({"__main__.py": MAIN})


def build_runtime() -> bytes:
    """The importable zip file with the module `edgefair_runtime`: `load` and what it takes."""
    return _zip({"edgefair_runtime.py": RUNTIME})


def _zip(files: dict[str, bytes]) -> bytes:
    """The files beside the probe. Stored, not deflated: compressed bytes differ between versions of zlib."""
    folder = Path(edgefair.probe.__file__).parent
    files = files | {"edgefair/__init__.py": b""}
    own = [path for path in folder.rglob("*") if path.suffix in SOURCES]
    files |= {f"edgefair/probe/{path.relative_to(folder).as_posix()}": path.read_bytes() for path in own}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.create_system = UNIX
            archive.writestr(entry, files[name])
    return buffer.getvalue()
