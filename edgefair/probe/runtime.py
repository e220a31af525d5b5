"""What a device loads a bundle with: it runs nothing but the file that was judged, on a device like those it was
judged on.

Also shipped as one file, `edgefair target loader -o edgefair_runtime.zip`, for a device that has numpy and onnxruntime
and nothing else:

    sys.path.insert(0, "edgefair_runtime.zip")
    from edgefair_runtime import load
    model = load("/opt/model", public_key="/etc/edgefair.pub")
    model.predict({"age": [31, 64], "job": ["cook", "pilot"]}).decision

A public key needs the package cryptography there, and raw texts need tokenizers.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np

from edgefair.probe.attestation import MANIFEST, AttestationError, Attested, PublicKey, attested, is_attestation
from edgefair.probe.device import fingerprint, saturates_int8
from edgefair.probe.errors import ProbeError
from edgefair.probe.models import Loaded
from edgefair.probe.models import load as load_model
from edgefair.probe.pictures import fit
from edgefair.probe.prepare import TEXT, prepare
from edgefair.probe.reading import read_decisions
from edgefair.probe.spec import SPEC_METADATA_KEY, InputSpec, ModelSpec, category_codes, encode
from edgefair.probe.texts import Cutter

BUNDLE_SCHEMA = "edgefair.bundle/1"
MODEL, REPORT, TOKENIZER = "model.onnx", "report.json", "tokenizer.json"
PROVIDER = "CPUExecutionProvider"
# Evidence that a device can do without.
OPTIONAL = "reference/"


class BundleError(Exception):
    """A bundle that must not run here, and why."""


@dataclass(frozen=True)
class Prediction:
    """decision: names of the classes [rows]; score: P(class) float32 [rows, classes], where the model gives it."""

    decision: List[str]
    score: Optional[np.ndarray]


class Model:
    """A judged model, ready for raw features. classes: their names; report: what was measured, and the verdict."""

    def __init__(self, loaded: Loaded, spec: ModelSpec, report: Dict[str, Any], cutter: Cutter) -> None:
        self.classes = spec.classes
        self.report = report
        self._loaded = loaded
        self._spec = spec
        self._cutter = cutter

    def predict(self, raw: Mapping[str, Any]) -> Prediction:
        """Decide rows.

        raw: feature -> one value per row: numbers, texts, pictures (uint8 [height, width, channels] of any size), or a
        ready array [rows, ...]; ready tokens are given under the name of the graph's input.

        Raises:
            ValueError: a feature is missing, or is not what the model takes.
            ImportError: raw texts for a model that takes tokens, and the package tokenizers is missing.
        """
        try:
            sent = {item.name: _input(raw, item) for item in self._spec.inputs if item.tokens is None}
            sent.update(self._cutter.arrays(raw))
        except KeyError as error:
            raise ValueError(f"feature {error} is missing") from error
        lengths = {len(array) for array in sent.values()}
        if len(lengths) != 1:
            raise ValueError(f"features of {sorted(lengths)} rows")
        reading = self._spec.reading
        outputs = [name for name in (reading.output, reading.score) if name is not None]
        try:
            found = self._loaded.run(prepare(sent, self._spec.inputs), outputs)
        except ProbeError as error:
            raise ValueError(str(error)) from error
        decision, score = read_decisions(found, reading, len(self.classes))
        return Prediction([self.classes[index] for index in decision.tolist()], score)


def load(bundle: Union[str, Path], public_key: Optional[PublicKey] = None, *, threads: int = 1) -> Model:
    """Check a bundle's signature, its digests, its verdict and this device, and load its model.

    public_key: of whoever may sign bundles for this device (ed25519, the path of a PEM file or its content); None
    takes unsigned bundles too, whose digests show damage but not tampering.

    Raises:
        BundleError: with a public key, no signature by it over exactly these files; a file is missing or was changed,
            the verdict is not one that ships or is that of another file, or no device like this one was judged.
    """
    folder = Path(bundle)
    try:
        signed = None if public_key is None else attested(folder, public_key)
        files, outcome = _manifest(folder, signed)
    except AttestationError as error:
        raise BundleError(str(error)) from error
    device = fingerprint()
    try:
        report = json.loads(_checked(folder, REPORT, files))
        check_verdict(report, outcome, files[MODEL])
        judged = [dict(item["device"]) for item in report["targets"]]
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(f"'{REPORT}' of '{folder}' is no report: {error!r}") from error
    if device_class(device) not in [device_class(item) for item in judged]:
        raise BundleError(
            f"this device is {_described(device)}, and the model was judged on "
            f"{', '.join(sorted({_described(item) for item in judged}))}: its decisions may differ here"
        )
    options = {"threads": threads, "providers": [PROVIDER], "optimization": "all", "config": {}}
    try:
        loaded = load_model(str(folder / MODEL), options)
        spec = ModelSpec.from_json(loaded.describe()["metadata"][SPEC_METADATA_KEY])
    except (ProbeError, KeyError, ValueError) as error:
        raise BundleError(f"the model of '{folder}' cannot be loaded here: {error}") from error
    if loaded.sha256 != files[MODEL]:
        raise BundleError(f"'{MODEL}' was changed: its sha256 is {loaded.sha256}, not {files[MODEL]}")
    return Model(loaded, spec, report, _cutter(folder, spec, files))


def _manifest(folder: Path, signed: Optional[Attested]) -> Tuple[Dict[str, str], str]:
    """Digests of the bundle's files, each of them checked, and its outcome."""
    try:
        content = (folder / MANIFEST).read_bytes()
        manifest = json.loads(content)
        if manifest["schema"] != BUNDLE_SCHEMA:
            raise ValueError(f"its schema is {manifest['schema']}, not {BUNDLE_SCHEMA}")
        files = {str(name): str(entry["sha256"]) for name, entry in manifest["files"].items()}
        outcome = str(manifest["outcome"])
        missing = {MODEL, REPORT} - set(files)
        if missing:
            raise ValueError(f"it does not list {', '.join(sorted(missing))}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleError(f"'{folder}' is no bundle: {error}") from error
    if signed is not None:
        signed.check(content, files, outcome)
        _check_nothing_else(folder, files)
    for name in files:
        if not (name.startswith(OPTIONAL) and not (folder / name).exists()):
            _checked(folder, name, files)
    return files, outcome


def _check_nothing_else(folder: Path, files: Mapping[str, str]) -> None:
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    unsigned = sorted(name for name in found - set(files) - {MANIFEST} if not is_attestation(name))
    if unsigned:
        raise BundleError(f"bundle '{folder}' holds '{unsigned[0]}', which was not signed")


def _checked(folder: Path, name: str, files: Mapping[str, str]) -> bytes:
    """The content of a file whose digest is the manifest's."""
    try:
        content = (folder / name).read_bytes()
    except OSError as error:
        raise BundleError(f"bundle '{folder}' lacks '{name}': {error.strerror}") from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != files[name]:
        raise BundleError(f"'{name}' was changed: its sha256 is {digest}, not {files[name]}")
    return content


def _cutter(folder: Path, spec: ModelSpec, files: Mapping[str, str]) -> Cutter:
    """What makes the model's tokens, of the tokenizer that the audit used."""
    if TOKENIZER not in files:
        return Cutter(spec.inputs, None)
    if any(item.tokens is not None and item.tokens.tokenizer != files[TOKENIZER] for item in spec.inputs):
        raise BundleError(f"'{TOKENIZER}' of '{folder}' is not the one that the model was judged with")
    try:
        return Cutter(spec.inputs, _checked(folder, TOKENIZER, files))
    except ValueError as error:
        raise BundleError(f"'{TOKENIZER}' of '{folder}' cannot be used: {error}") from error


def check_verdict(report: Mapping[str, Any], outcome: str, model: str) -> None:
    """Refuse a report that is not the verdict of a model file, or does not ship.

    outcome: as the manifest says. model: sha256 of the file.

    Raises:
        BundleError: another outcome, one that blocks, or another file's.
        KeyError, TypeError: not a report.
    """
    if report["outcome"] != outcome or report["exit_code"] != 0:
        raise BundleError(f"its verdict is {report['outcome']} and its manifest says {outcome}: not one that ships")
    if report["model"]["sha256"] != model:
        raise BundleError("its verdict is that of another model file")


def device_class(device: Mapping[str, Any]) -> Tuple[Any, bool, Any]:
    """Machine, whether it saturates INT8 sums, and what runs the model there.

    It decides the numerics of INT8 kernels: devices of one class make the same decisions.
    """
    return device.get("machine"), saturates_int8(device), device.get("runs_on", PROVIDER)


def _described(device: Mapping[str, Any]) -> str:
    machine, saturates, runs_on = device_class(device)
    return f"{machine}{' without VNNI' if saturates else ''} with {runs_on}"


def _input(raw: Mapping[str, Any], item: InputSpec) -> np.ndarray:
    """One graph input as `prepare` takes it."""
    if item.picture is not None:
        return np.stack([fit(np.asarray(picture), item.picture) for picture in raw[item.picture.column]])
    if item.dtype == TEXT:
        return np.stack([_codes(raw[column.name], column.vocabulary or ()) for column in item.columns], axis=1)
    columns = [column.name for column in item.columns] if item.array is None else [item.array]
    return encode({name: np.asarray(raw[name]) for name in columns}, item)


def _codes(values: Any, vocabulary: Sequence[str]) -> np.ndarray:
    return category_codes(np.asarray(values, dtype=str).tolist(), vocabulary)
