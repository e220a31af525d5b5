"""The probe as one file: what is sent to a device is what is tested here."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import marshal
import sys
import zipfile
from collections.abc import Iterable
from importlib.machinery import SourceFileLoader
from pathlib import Path

import edgefair.probe

MAIN = b"import runpy\nrunpy.run_module('edgefair.probe', run_name='__main__', alter_sys=True)\n"
# The first moment that a zip file can name; a fixed one, so that equal sources give equal bytes.
EPOCH = (1980, 1, 1, 0, 0, 0)
# The system that the entries name, for the same reason.
UNIX = 3
# What the probe consists of: its modules, and the script of the page that it opens in a browser.
SOURCES = frozenset({".py", ".js"})
FOLDER, PROBE = Path(edgefair.probe.__file__).parent, "edgefair/probe"
# Flags of a `.pyc`: by the hash of its source, which is not to be checked.
UNCHECKED = (1).to_bytes(4, "little")

RUNTIME = b"from edgefair.probe.bundles.runtime import BundleError, Model, Prediction, load\n"


def build_zipapp() -> bytes:
    """A Python zip application of `edgefair.probe` and nothing else, the same bytes for the same sources."""
    return _zip(_probe({"__main__.py": MAIN}))


def build_compiled() -> bytes:
    """As `build_zipapp`, for this Python on this machine: with each module as it is compiled beside its source.

    Compiling takes a third of a start. Another Python does not take what this one has compiled, but the sources.
    """
    files = _probe({"__main__.py": MAIN})
    return _zip({**files, **_compiled(name for name in files if name.startswith(f"{PROBE}/"))})


def build_runtime() -> bytes:
    """The importable zip file with the module `edgefair_runtime`: `load` and what it takes."""
    return _zip(_probe({"edgefair_runtime.py": RUNTIME}))


def _probe(files: dict[str, bytes]) -> dict[str, bytes]:
    """The files beside the probe, by their names in the archive."""
    own = [path for path in FOLDER.rglob("*") if path.suffix in SOURCES]
    probe = {f"{PROBE}/{path.relative_to(FOLDER).as_posix()}": path.read_bytes() for path in own}
    return {**files, "edgefair/__init__.py": b"", **probe}


def _compiled(names: Iterable[str]) -> dict[str, bytes]:
    """The modules among the names as `.pyc`, which say of themselves that nobody need look at a source (PEP 552)."""
    if sys.flags.optimize:  # what is compiled here leaves something out
        return {}
    header = importlib.util.MAGIC_NUMBER + UNCHECKED + bytes(8)
    sources = {name: FOLDER / name.removeprefix(f"{PROBE}/") for name in names if name.endswith(".py")}
    return {f"{name}c": header + _code(path) for name, path in sources.items()}


def _code(path: Path) -> bytes:
    """A module's code, marshalled: as Python keeps it beside the source, else compiled, and kept there where it can."""
    kept, source = Path(importlib.util.cache_from_source(path)), path.stat()
    stamp = (0, int(source.st_mtime) & 0xFFFFFFFF, source.st_size & 0xFFFFFFFF)
    header = importlib.util.MAGIC_NUMBER + b"".join(number.to_bytes(4, "little") for number in stamp)
    with contextlib.suppress(OSError):
        content = kept.read_bytes()
        if content.startswith(header):
            return content[len(header) :]
    return marshal.dumps(SourceFileLoader(path.stem, str(path)).get_code(path.stem))


def _zip(files: dict[str, bytes]) -> bytes:
    """Stored, not deflated: compressed bytes differ between versions of zlib."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.create_system = UNIX
            archive.writestr(entry, files[name])
    return buffer.getvalue()
