"""The targets that are known by name, and one target made ready or asked what it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgefair.bundle.canaries.probing import check_target
from edgefair.config import Config
from edgefair.errors import UsageError
from edgefair.files import write_atomic
from edgefair.progress import Progress, silent
from edgefair.report.results.targets import Device, KnownTarget, Targets
from edgefair.resources import shipped_names
from edgefair.scratch import work_folder
from edgefair.targets import load_profile, open_target, transport_of
from edgefair.targets.transports.zipapp import build_runtime
from edgefair.workflow.models.as_it_is import is_for_a_runtime, with_spec
from edgefair.workflow.models.convert import convert_model
from edgefair.workflow.models.vocabulary import categories_in, load_to_judge


def known_targets(names: Sequence[str] = ()) -> Targets:
    """The profiles of these targets, or every shipped one, by name.

    Raises:
        UsageError: no such target.
    """
    profiles = [load_profile(name) for name in names or shipped_names("deploy/targets")]
    return Targets(tuple(KnownTarget(profile, transport_of(profile).lacks()) for profile in profiles))


def prepare_target(name: str, progress: Progress = silent) -> Device:
    """Make what a target needs, start it once, and return the device.

    Raises:
        UsageError: no such target.
        MeasurementError: something that it takes is missing, or it cannot be reached.
    """
    transport_of(load_profile(name)).prepare(progress)
    return probe_target(name, progress)


def probe_target(name: str, progress: Progress = silent, *, bundle: Path | None = None) -> Device:
    """What a target's device is.

    Args:
        bundle: whose canary rows it, or every device of a pool, must answer as the judged device did.

    Raises:
        UsageError: no such target.
        ModelError: see `bundle.canaries.probing.check_target`.
        MeasurementError: it cannot be reached, is not what its profile says, or answers otherwise.
    """
    progress.stage(f"starting {name}")
    with open_target(load_profile(name)) as probe:
        if bundle is not None:
            progress.stage(f"asking {name} the canary rows of {bundle}")
            probe.each(lambda device: check_target(device, bundle))
            for member in probe.members:
                if member.lost is not None:
                    raise member.lost
        return Device(probe.device)


def write_loader(path: Path) -> None:
    """Write the module `edgefair_runtime` as one importable zip file.

    Raises:
        UsageError: the file cannot be written.
    """
    try:
        write_atomic(path, build_runtime())
    except OSError as error:
        raise UsageError(f"the loader cannot be written to '{path}': {error.strerror}") from error


def write_described(config: Config, model: Path, path: Path, progress: Progress = silent) -> None:
    """Write a model file with the spec that it is fed and read by; nothing is judged.

    Args:
        model: .onnx, .tflite or .pte.

    Raises:
        UsageError: the file cannot be written.
        DataError, ModelError: no model, or nothing says how it is fed.
    """
    progress.stage("reading")
    data = load_to_judge(config, categories_in(model))
    with work_folder() as folder:
        to = folder / "described"
        if is_for_a_runtime(model):
            with_spec(config, data, model, to=to)
        else:
            convert_model(config, data, str(model), weights=None, to=to, progress=progress)
        try:
            write_atomic(path, to.read_bytes())
        except OSError as error:
            raise UsageError(f"the model cannot be written to '{path}': {error.strerror}") from error
