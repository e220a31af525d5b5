"""The files of a bundle on a device: those that its manifest lists, with their digests, and no way around either."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterable, Mapping, Optional

from edgefair.probe.bundles.attestation import (
    MANIFEST,
    AttestationError,
    Attested,
    PublicKey,
    attested,
    is_signature,
)
from edgefair.probe.bundles.demands import Release
from edgefair.probe.files import files_below, inside, read_json
from edgefair.probe.formats import NAMES as FORMATS
from edgefair.probe.formats import format_named
from edgefair.probe.regular import LargerError, read_regular

SCHEMA = "edgefair.bundle/1"
REPORT, SPEC, TOKENIZER = "report.json", "spec.json", "tokenizer.json"
# What a model's file is called, by its format; a bundle holds one of them.
MODELS = tuple(f"model{format_named(name).suffix}" for name in FORMATS)
# Evidence that a device can do without.
OPTIONAL = "reference/"
MOST_MANIFEST, MOST_REPORT, MOST_FILE = 16 << 20, 256 << 20, 1 << 31


class BundleError(Exception):
    """A bundle that must not run here, and why."""


@dataclass(frozen=True)
class Entry:
    """One file as the manifest lists it."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class Manifest:
    """files: name -> what is listed of it. said: project, created and counter as the manifest has them."""

    folder: Path
    files: Dict[str, Entry]
    outcome: str
    said: Mapping[str, object]
    signed: Optional[Attested]

    @property
    def model(self) -> str:
        """The name of the model's file."""
        return model_among(self.files)

    def read(self, name: str) -> bytes:
        """The content of a file.

        Raises:
            BundleError: it is not what the manifest lists.
        """
        entry = self.files[name]
        try:
            content = read_regular(self.folder / name, most=entry.bytes, follow=False)
        except LargerError as error:
            raise BundleError(f"'{name}' was modified: {error.strerror}, as the manifest lists") from error
        except OSError as error:
            raise BundleError(f"bundle '{self.folder}' lacks '{name}': {error.strerror}") from error
        digest = hashlib.sha256(content).hexdigest()
        if digest != entry.sha256:
            raise BundleError(f"'{name}' was modified: its sha256 is {digest}, not {entry.sha256}")
        return content

    def release(self, policy: str) -> Release:
        """Which release it is: by the signature, where one was demanded.

        policy: sha256 of the report's policy.

        Raises:
            BundleError: it does not say.
        """
        if self.signed is not None:
            return self.signed.release
        try:
            return Release.of(self.said, policy)
        except ValueError as error:
            raise BundleError(f"'{self.folder}' is not a bundle: {error}") from error


def open_manifest(folder: Path, public_key: Optional[PublicKey]) -> Manifest:
    """The manifest of a bundle; with a public key, first the signature over it and every file that it lists.

    Raises:
        BundleError: no manifest, one that lists what cannot be in a bundle, or not what the owner of the key signed.
    """
    try:
        signed = None if public_key is None else attested(folder, public_key)
        content = read_regular(folder / MANIFEST, most=MOST_MANIFEST, follow=False)
        data = read_json(content)
        if data.get("schema") != SCHEMA:
            raise ValueError(f"its schema is {data.get('schema')}, not {SCHEMA}: export the model again")
        files = entries(data.get("files"))
        manifest = Manifest(folder, files, str(data.get("outcome")), data, signed)
        if signed is not None:
            signed.check(content, {name: entry.sha256 for name, entry in files.items()}, manifest.outcome)
            _check_nothing_else(folder, files)
    except AttestationError as error:
        raise BundleError(str(error)) from error
    except OSError as error:
        raise BundleError(f"'{folder}' is not a bundle: {MANIFEST}: {error.strerror}") from error
    except ValueError as error:
        raise BundleError(f"'{folder}' is not a bundle: {error}") from error
    return manifest


def check_files(manifest: Manifest) -> None:
    """Compare every file that is there with its digest.

    Raises:
        BundleError: one is missing, or was changed.
    """
    for name in manifest.files:
        if name in (manifest.model, REPORT) or (name.startswith(OPTIONAL) and not _is_there(manifest.folder / name)):
            continue  # both are read and compared when they are used
        manifest.read(name)


def entries(data: object) -> Dict[str, Entry]:
    """The files that a manifest lists: name -> digest and size.

    Raises:
        ValueError: a name that leads out of the bundle or is its own, no digest or size, or no model and report.
    """
    if not isinstance(data, dict):
        raise ValueError("it lists no files")
    found = {}
    for name, entry in data.items():
        if not inside(name) or name == MANIFEST or is_signature(name):
            raise ValueError(f"it lists '{name}', which does not name a file inside it")
        digest, size = (entry.get("sha256"), entry.get("bytes")) if isinstance(entry, dict) else (None, None)
        if not isinstance(digest, str) or type(size) is not int or not 0 <= size <= MOST_FILE:
            raise ValueError(f"it lists '{name}' without its sha256 and size")
        found[name] = Entry(digest, size)
    if REPORT not in found:
        raise ValueError(f"it does not list {REPORT}")
    model_among(found)
    if found[REPORT].bytes > MOST_REPORT:
        raise ValueError(f"it lists a report of {found[REPORT].bytes:,} bytes")
    return found


def model_among(names: Iterable[str]) -> str:
    """The name of the model's file among those of a bundle.

    Raises:
        ValueError: there is none, or more than one.
    """
    listed = set(names)
    models = [name for name in MODELS if name in listed]
    if not models:
        raise ValueError(f"it does not list {', '.join(MODELS[:-1])} or {MODELS[-1]}")
    if len(models) > 1:
        raise ValueError(f"it lists {' and '.join(models)}: which of them was judged?")
    return models[0]


def _check_nothing_else(folder: Path, files: Mapping[str, Entry]) -> None:
    unsigned = sorted(
        name for name in files_below(folder) if name not in files and name != MANIFEST and not is_signature(name)
    )
    if unsigned:
        raise BundleError(f"bundle '{folder}' holds '{unsigned[0]}', which was not signed")


def _is_there(path: Path) -> bool:
    try:
        path.lstat()
    except OSError:
        return False
    return True
