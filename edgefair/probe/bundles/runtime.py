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

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np

from edgefair.probe.bundles.attestation import PublicKey
from edgefair.probe.bundles.canaries import CANARIES, check_canaries
from edgefair.probe.bundles.consistency import ContradictionError, check_report, policy_digest
from edgefair.probe.bundles.demands import DemandError, Demands
from edgefair.probe.bundles.files import (
    REPORT,
    SPEC,
    TOKENIZER,
    BundleError,
    Manifest,
    check_files,
    open_manifest,
)
from edgefair.probe.bundles.settings import Judged, judged_alike
from edgefair.probe.device import fingerprint
from edgefair.probe.errors import ProbeError
from edgefair.probe.features import column, same_length
from edgefair.probe.files import read_json
from edgefair.probe.formats import format_of
from edgefair.probe.inputs.pictures import fit
from edgefair.probe.inputs.prepare import prepare
from edgefair.probe.inputs.texts import Cutter
from edgefair.probe.onnx_files.reading import read_decisions
from edgefair.probe.onnx_files.spec import SPEC_METADATA_KEY, InputSpec, ModelSpec, encode
from edgefair.probe.onnx_files.spec_check import spec_from_json
from edgefair.probe.runtimes.models import Loaded, open_model


@dataclass(frozen=True)
class Prediction:
    """decision: names of the classes [rows]; score: P(class) float32 [rows, classes], where the model gives it."""

    decision: List[str]
    score: Optional[np.ndarray]


class Model:
    """A judged model, ready for raw features.

    classes: their names. features: names of what it takes; of a text and the ready tokens of it one will do. report:
    what was measured, and the verdict.
    """

    def __init__(self, loaded: Loaded, spec: ModelSpec, report: Dict[str, Any], cutter: Cutter) -> None:
        self.classes = spec.classes
        self.features = tuple(dict.fromkeys(name for item in spec.inputs for name in _features(item)))
        self.report = report
        self._loaded = loaded
        self._spec = spec
        self._cutter = cutter

    def predict(self, raw: Mapping[str, Any]) -> Prediction:
        """Decide rows, each by itself.

        raw: exactly the features that the model takes, each with one value per row: numbers, texts, pictures (uint8
        [height, width, channels] of any size), or a ready array [rows, ...]; ready tokens are given under the name of
        the graph's input.

        Raises:
            ValueError: a feature is missing, unknown, or not what the model takes; features of unequal length, or
                without a row.
            ImportError: raw texts for a model that takes tokens, and the package tokenizers is missing.
        """
        rows = self._rows(raw)
        try:
            sent = {item.name: _input(raw, item) for item in self._spec.inputs if item.tokens is None}
            sent.update(self._cutter.arrays(raw))
        except KeyError as error:
            raise ValueError(f"feature {error} is missing") from error
        reading = self._spec.reading
        outputs = [name for name in (reading.output, reading.score) if name is not None]
        try:
            found = self._loaded.run(prepare(sent, self._spec.inputs), outputs, one_by_one=True)
        except ProbeError as error:
            raise ValueError(str(error)) from error
        decision, score = read_decisions(found, reading, len(self.classes))
        if len(decision) != rows:
            raise ValueError(f"the model made {len(decision)} decisions for {rows} rows")
        return Prediction([self.classes[index] for index in decision.tolist()], score)

    def _rows(self, raw: Mapping[str, Any]) -> int:
        """The number of rows of features that are all known and of one length."""
        if not isinstance(raw, Mapping):
            raise ValueError(f"features are a {type(raw).__name__}, not a mapping of names to values")
        unknown = sorted(str(name) for name in raw if name not in self.features)
        if unknown:
            raise ValueError(f"feature '{unknown[0]}' is not one that the model takes: {', '.join(self.features)}")
        rows = {name: len(column(name, values)) for name, values in raw.items()}
        if not rows:
            raise ValueError(f"feature '{self.features[0]}' is missing")
        same_length(rows)
        if not min(rows.values()):
            raise ValueError("the features have no row")
        return min(rows.values())


def load(
    bundle: Union[str, Path],
    public_key: Optional[PublicKey] = None,
    *,
    project: Optional[str] = None,
    policy: Optional[str] = None,
    not_before: Optional[str] = None,
    counter: Optional[int] = None,
    threads: Optional[int] = None,
    libraries: Optional[Mapping[str, str]] = None,
) -> Model:
    """Check a bundle's signature, its digests, its verdict and this device, and load its model as it was judged.

    public_key: of whoever may sign bundles for this device (ed25519 or P-256, the path of a PEM file or its content);
    None takes unsigned bundles too, whose digests show damage but not tampering.
    project, policy (sha256), not_before (a date or moment, ISO 8601), counter (the least): which release is demanded;
    with a public key only what was signed counts.
    threads: of one inference; None for as many as it was judged with, and it must have been judged with any other.
    libraries: paths of execution providers' libraries on this device, by provider, for a model that was judged on one
    of a library; those of known packages are found.

    Raises:
        BundleError: with a public key, no signature by it over exactly these files; a file is missing, was changed or
            is none; another release than was demanded; the verdict is not one that ships, is that of another file or
            contradicts its own numbers; no device like this one was judged, or under settings that do not exist here;
            this device answers the bundle's canary rows otherwise than the judged one did.
        ValueError: a demand that cannot be read.
    """
    demands = Demands(project, policy, not_before, counter)
    folder = Path(bundle)
    manifest = open_manifest(folder, public_key)
    check_files(manifest)
    content = manifest.read(REPORT)
    model = manifest.read(manifest.model)
    spec = _spec(manifest, model)
    report = _report(manifest, content, spec)
    try:
        demands.check(manifest.release(policy_digest(report["policy"])))
        judged = [dict(target["device"]) for target in report["targets"]]
        alike = judged_alike(fingerprint(), judged, threads, libraries or {})
    except DemandError as error:
        raise BundleError(f"bundle '{folder}' does not meet the requirements: {error}") from error
    except (ValueError, TypeError) as error:
        raise BundleError(f"bundle '{folder}' cannot be loaded: {error}") from error
    try:
        loaded, taken = _opened(model, alike, libraries or {})
        if CANARIES in manifest.files:
            check_canaries(manifest.read(CANARIES), spec, loaded, taken, len(judged))
    except ProbeError as error:
        raise BundleError(f"the model of '{folder}' cannot be loaded here: {error}") from error
    except ValueError as error:
        raise BundleError(f"the model of '{folder}' must not run here: {error}") from error
    return Model(loaded, spec, report, _cutter(manifest, spec))


def _opened(model: bytes, alike: Sequence[Judged], libraries: Mapping[str, str]) -> Tuple[Loaded, Judged]:
    """The model, as it was run on the first of the judged devices that this one can be, and which that is.

    Raises:
        ProbeError: why it cannot be the first.
    """
    failed: List[ProbeError] = []
    for judged in alike:
        try:
            loaded = open_model(model, judged.session.options(libraries))
        except ProbeError as error:
            failed.append(error)
            continue
        other = judged.unlike(loaded.engine)
        if other is None:
            return loaded, judged
        failed.append(ProbeError("no_runtime", other))
    raise failed[0]


def _spec(manifest: Manifest, model: bytes) -> ModelSpec:
    """The spec that the model carries, and that the bundle repeats beside it."""
    try:
        written = format_of(model)
        if not manifest.model.endswith(written.suffix):
            raise ValueError(f"'{manifest.model}' is in the format of {written.name}")
        text = written.read(model).metadata[SPEC_METADATA_KEY]
        spec = spec_from_json(text)
    except (KeyError, ValueError) as error:
        raise BundleError(
            f"the model of '{manifest.folder}' does not describe its inputs and outputs: {error}"
        ) from error
    if SPEC in manifest.files and manifest.read(SPEC) != text.encode():
        raise BundleError(f"'{SPEC}' of '{manifest.folder}' is not the spec that its model carries")
    return spec


def _report(manifest: Manifest, content: bytes, spec: ModelSpec) -> Dict[str, Any]:
    entry = manifest.files[manifest.model]
    try:
        report = read_json(content)
        check_report(report, outcome=manifest.outcome, sha256=entry.sha256, size=entry.bytes, classes=spec.classes)
    except ContradictionError as error:
        raise BundleError(f"'{REPORT}' of '{manifest.folder}' is not valid: {error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        raise BundleError(f"'{REPORT}' of '{manifest.folder}' is not a report: {error!r}") from error
    return report


def _cutter(manifest: Manifest, spec: ModelSpec) -> Cutter:
    """What makes the model's tokens, of the tokenizer that the audit used."""
    if TOKENIZER not in manifest.files:
        return Cutter(spec.inputs, None)
    digest = manifest.files[TOKENIZER].sha256
    if any(item.tokens is not None and item.tokens.tokenizer != digest for item in spec.inputs):
        raise BundleError(f"'{TOKENIZER}' of '{manifest.folder}' is not the one the model was judged with")
    try:
        return Cutter(spec.inputs, manifest.read(TOKENIZER))
    except ValueError as error:
        raise BundleError(f"'{TOKENIZER}' of '{manifest.folder}' cannot be used: {error}") from error


def _features(item: InputSpec) -> Sequence[str]:
    """Names of the raw features that fill an input."""
    if item.picture is not None:
        return (item.picture.column,)
    if item.tokens is not None:
        return (item.tokens.column, item.name)
    return [feature.name for feature in item.columns] if item.array is None else (item.array,)


def _input(raw: Mapping[str, Any], item: InputSpec) -> np.ndarray:
    """One graph input as `prepare` takes it."""
    if item.picture is not None:
        return np.stack([fit(np.asarray(picture), item.picture) for picture in raw[item.picture.column]])
    return encode(raw, item)
