"""Whether a target answers the canary rows of a bundle as the device did that it was judged on."""

from __future__ import annotations

from pathlib import Path

from edgefair.bundle.canaries.selection import one_by_one
from edgefair.bundle.manifest import REPORT, open_bundle
from edgefair.errors import MeasurementError, ModelError
from edgefair.probe.bundles.canaries import CANARIES, otherwise, read_canaries, refusal
from edgefair.probe.bundles.settings import described, device_class
from edgefair.probe.files import read_json
from edgefair.probe.onnx_files.spec_check import spec_from_json
from edgefair.targets import AnyProbe


def check_target(probe: AnyProbe, path: Path) -> int:
    """Have a target answer the canary rows of a bundle; how many there are.

    Raises:
        ModelError: no bundle, one without canary rows, or that was not judged on such a device.
        MeasurementError: the target answers otherwise, or was lost.
    """
    bundle = open_bundle(path)
    if CANARIES not in bundle.manifest.files:
        raise ModelError(f"bundle '{path}' has no canary rows", fix="export it again with this version of edgefair")
    try:
        spec = spec_from_json(bundle.spec.read_text(encoding="utf-8"))
        devices = [item["device"] for item in read_json((path / REPORT).read_bytes())["targets"]]
        canaries = read_canaries((path / CANARIES).read_bytes(), spec, len(devices))
        known = ", ".join(sorted({described(device) for device in devices}))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"bundle '{path}' cannot be read: {error}", fix="export it again") from error
    model = probe.load(bundle.model, name="candidate")
    like = [index for index, device in enumerate(devices) if device_class(device) == device_class(probe.device)]
    if not like:
        raise ModelError(
            f"bundle '{path}' was judged on {known}, and target '{probe.profile.name}' is {described(probe.device)} or "
            "has other settings",
            fix="judge it there: `edgefair export --target`",
        )
    names = [name for name in (spec.reading.output, spec.reading.score) if name is not None]
    (outputs,) = probe.run(model, [dict(canaries.inputs)], names, inputs=spec.inputs, one_by_one=True)
    judged = canaries.answers[like[0]]
    wrong, _ = otherwise(one_by_one(outputs, spec), judged)
    rows = len(judged.decision)
    if wrong:
        raise MeasurementError(
            f"target '{probe.profile.name}': {refusal(wrong, rows)}",
            expected=f"the answers of '{path / CANARIES}'",
            fix="export the model for this device, with its runtime as it is",
        )
    return rows
