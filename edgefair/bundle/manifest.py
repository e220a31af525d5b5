"""What lies in a bundle, and the manifest that says so."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgefair.data.seen import SEEN
from edgefair.errors import ModelError
from edgefair.files import sha256_file
from edgefair.probe.attestation import MANIFEST, is_attestation

BUNDLE_SCHEMA = "edgefair.bundle/1"
MODEL = "model.onnx"
SPEC = "spec.json"
REPORT = "report.json"
# A device needs the model; what lies here is evidence, and may be left behind when the bundle is copied to one.
OPTIONAL = "reference/"
REFERENCE = f"{OPTIONAL}model.onnx"
SEEN_ROWS = f"{OPTIONAL}{SEEN}"


@dataclass(frozen=True)
class FileEntry:
    """One file of the bundle."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class Manifest:
    """Digests of every file but itself and its attestation, the outcome, and what the model is bound to.

    Attributes:
        files: path inside the bundle -> digest and size.
        outcome: PASS, or what was let through by a recorded exception.
        targets: the devices on which the outcome was measured.
        made_with: versions of edgefair and of the libraries that made the model.
        settings: compression recipe, seed and training run.
    """

    files: dict[str, FileEntry]
    outcome: str
    targets: tuple[dict[str, Any], ...]
    made_with: dict[str, str]
    settings: dict[str, Any]

    def to_json(self) -> str:
        """The manifest as JSON text."""
        return json.dumps({"schema": BUNDLE_SCHEMA, **asdict(self)}, indent=1, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """Read back what `to_json` wrote.

        Raises:
            ValueError: not a manifest of this schema.
        """
        try:
            data = json.loads(text)
            if data.pop("schema") != BUNDLE_SCHEMA:
                raise ValueError(f"not {BUNDLE_SCHEMA}")
            files = {name: FileEntry(**entry) for name, entry in data.pop("files").items()}
            return cls(files=files, targets=tuple(data.pop("targets")), **data)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a manifest: {error!r}") from error


@dataclass(frozen=True)
class Bundle:
    """A bundle whose files are what its manifest says."""

    path: Path
    manifest: Manifest

    @property
    def model(self) -> Path:
        """The deployed model."""
        return self.path / MODEL

    @property
    def spec(self) -> Path:
        """What the deployed model takes and how it is read."""
        return self.path / SPEC

    @property
    def reference(self) -> Path | None:
        """The FP32 model that the deployed one was compressed from, where it is still in the bundle."""
        return self._optional(REFERENCE)

    @property
    def seen_rows(self) -> Path | None:
        """Hashes of the rows that the model has seen, where they are still in the bundle."""
        return self._optional(SEEN_ROWS)

    def _optional(self, name: str) -> Path | None:
        path = self.path / name
        return path if name in self.manifest.files and path.is_file() else None


def is_bundle(path: Path) -> bool:
    """Whether a folder claims to be a bundle."""
    return (path / MANIFEST).is_file()


def open_bundle(path: Path) -> Bundle:
    """Read a bundle and compare every file with its digest.

    Raises:
        ModelError: no manifest, a file missing, changed or not listed.
    """
    try:
        manifest = Manifest.from_json((path / MANIFEST).read_text())
    except (OSError, ValueError) as error:
        raise ModelError(
            f"'{path}' is not a bundle: {error}", expected="a folder that `edgefair export` wrote"
        ) from error
    found = {str(item.relative_to(path)) for item in path.rglob("*") if item.is_file()} - {MANIFEST}
    if unlisted := sorted(name for name in found - manifest.files.keys() if not is_attestation(name)):
        raise ModelError(f"bundle '{path}' holds '{unlisted[0]}', which its manifest does not list")
    for name, entry in manifest.files.items():
        if name not in found:
            if name.startswith(OPTIONAL):
                continue
            raise ModelError(f"bundle '{path}' lacks '{name}'", fix="copy the bundle again, or export it again")
        digest = sha256_file(path / name)
        if digest != entry.sha256:
            raise ModelError(
                f"'{name}' in bundle '{path}' was changed: its sha256 is {digest}",
                expected=f"{entry.sha256}, as the manifest says",
                fix="copy the bundle again, or export it again; a changed file has no verdict",
            )
    return Bundle(path=path, manifest=manifest)
