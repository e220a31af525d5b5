"""What lies in a bundle, and the manifest that says so."""

from __future__ import annotations

import json
import stat
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgefair.data.identity.seen import SEEN
from edgefair.errors import ModelError
from edgefair.files import sha256_file
from edgefair.probe.bundles.attestation import MANIFEST, Attested, is_signature
from edgefair.probe.bundles.demands import Release
from edgefair.probe.bundles.files import MOST_MANIFEST, entries, model_among
from edgefair.probe.files import files_below, read_json
from edgefair.probe.formats import format_of
from edgefair.probe.onnx_files.spec import SPEC_METADATA_KEY
from edgefair.probe.regular import read_regular

BUNDLE_SCHEMA = "edgefair.bundle/1"
SPEC = "spec.json"
REPORT = "report.json"
# A device needs the model; what lies here is evidence, and may be left behind when the bundle is copied to one.
OPTIONAL = "reference/"
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
        project: its name in the config.
        created: when it was judged, UTC, ISO 8601.
        counter: number of the release, where the export was given one.
    """

    files: dict[str, FileEntry]
    outcome: str
    targets: tuple[dict[str, Any], ...]
    made_with: dict[str, str]
    settings: dict[str, Any]
    project: str
    created: str
    counter: int | None = None

    @property
    def model(self) -> str:
        """The name of the deployed model's file."""
        return model_among(self.files)

    @property
    def reference(self) -> str:
        """The name of the file of the model before compression, listed or not."""
        return reference_of(self.model)

    def to_json(self) -> str:
        """The manifest as JSON text."""
        return json.dumps({"schema": BUNDLE_SCHEMA, **asdict(self)}, indent=1)

    @classmethod
    def from_json(cls, content: bytes) -> Manifest:
        """Read back what `to_json` wrote.

        Raises:
            ValueError: not a manifest of this schema, or a field of another type.
        """
        data = read_json(content)
        schema = data.pop("schema", None)
        if schema != BUNDLE_SCHEMA:
            raise ValueError(f"its schema is '{schema}', not '{BUNDLE_SCHEMA}'")
        Release.of(data, "")
        files = {name: FileEntry(entry.sha256, entry.bytes) for name, entry in entries(data.pop("files", None)).items()}
        targets = data.pop("targets", None)
        if not isinstance(targets, list) or not all(isinstance(item, dict) for item in targets):
            raise ValueError("it lists no targets")
        kinds = {"outcome": str, "made_with": dict, "settings": dict}
        wrong = [name for name, kind in kinds.items() if not isinstance(data.get(name), kind)]
        if wrong or not all(isinstance(version, str) for version in data["made_with"].values()):
            raise ValueError(f"its {(wrong or ['made_with'])[0]} is missing or has the wrong type")
        try:
            return cls(files=files, targets=tuple(targets), **data)
        except TypeError as error:
            raise ValueError(f"not a manifest: {error}") from error


@dataclass(frozen=True)
class Bundle:
    """A bundle whose files are what its manifest says.

    Attributes:
        signed: what the signature covers that was checked; None where none was asked for.
    """

    path: Path
    manifest: Manifest
    signed: Attested | None = None

    @property
    def model(self) -> Path:
        """The deployed model."""
        return self.path / self.manifest.model

    @property
    def spec(self) -> Path:
        """What the deployed model takes and how it is read."""
        return self.path / SPEC

    @property
    def reference(self) -> Path | None:
        """The FP32 model that the deployed one was compressed from, where it is still in the bundle."""
        return self._optional(self.manifest.reference)

    @property
    def seen_rows(self) -> Path | None:
        """Hashes of the rows that the model has seen, where they are still in the bundle."""
        return self._optional(SEEN_ROWS)

    def _optional(self, name: str) -> Path | None:
        path = self.path / name
        return path if name in self.manifest.files and path.is_file() else None

    @property
    def compressed_from(self) -> Path | None:
        """The reference; None where the deployed model is that very file, as nothing was compressed."""
        return None if self.uncompressed else self.reference

    @property
    def uncompressed(self) -> bool:
        """Whether the deployed model is the reference itself, by the manifest."""
        files, name = self.manifest.files, self.manifest.reference
        return name in files and files[name].sha256 == files[self.manifest.model].sha256


def model_name(path: Path) -> str:
    """What a model's file is called in a bundle, by its format."""
    return f"model{format_of(read_regular(path)).suffix}"


def reference_of(model: str) -> str:
    """What the file of the model before compression is called beside a model's."""
    return f"{OPTIONAL}{model}"


def is_bundle(path: Path) -> bool:
    """Whether a folder claims to be a bundle."""
    return (path / MANIFEST).is_file()


def open_bundle(path: Path) -> Bundle:
    """Read a bundle, compare every file with its digest, and the spec beside the model with the one that it carries.

    Raises:
        ModelError: no manifest, a file missing, changed, not listed or no regular file, another spec than the model's.
    """
    try:
        manifest = Manifest.from_json(read_regular(path / MANIFEST, most=MOST_MANIFEST, follow=False))
        found = {name for name in files_below(path) if name != MANIFEST}
    except (OSError, ValueError) as error:
        raise ModelError(
            f"'{path}' is not a bundle: {error}",
            expected="a folder that `edgefair export` wrote",
            fix="export it again with this version of edgefair",
        ) from error
    if unlisted := sorted(name for name in found - manifest.files.keys() if not is_signature(name)):
        raise ModelError(f"bundle '{path}' holds '{unlisted[0]}', which its manifest does not list")
    for name, entry in manifest.files.items():
        if name not in found:
            if name.startswith(OPTIONAL):
                continue
            raise ModelError(f"bundle '{path}' lacks '{name}'", fix="copy the bundle again, or export it again")
        status = (path / name).lstat()
        if not stat.S_ISREG(status.st_mode):
            raise ModelError(f"'{name}' in bundle '{path}' is not a regular file", fix="copy the bundle again")
        same_size = status.st_size == entry.bytes
        if not same_size or sha256_file(path / name) != entry.sha256:
            why = f"its sha256 is {sha256_file(path / name)}" if same_size else f"it has {status.st_size:,} bytes"
            raise ModelError(
                f"'{name}' in bundle '{path}' was modified: {why}",
                expected=f"sha256 {entry.sha256} and {entry.bytes:,} bytes, as the manifest says",
                fix="copy the bundle again, or export it again; a modified file has no verdict",
            )
    if SPEC in manifest.files:
        _check_spec(path, manifest.model)
    return Bundle(path=path, manifest=manifest)


def _check_spec(path: Path, model: str) -> None:
    content = (path / model).read_bytes()
    kind = format_of(content)
    try:
        carried = kind.read(content).metadata.get(SPEC_METADATA_KEY)
    except ValueError as error:
        raise ModelError(
            f"'{model}' in bundle '{path}' is not a model in the format of {kind.name}: {error}", fix="export it again"
        ) from error
    if carried is None or carried.encode() != (path / SPEC).read_bytes():
        raise ModelError(
            f"'{SPEC}' in bundle '{path}' is not the spec embedded in '{model}'",
            fix="export it again",
        )
