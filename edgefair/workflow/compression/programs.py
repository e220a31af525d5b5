"""A training run as a program of another runtime."""

from __future__ import annotations

from pathlib import Path

from edgefair.config import Config
from edgefair.data.dataset import load
from edgefair.errors import UsageError, missing_extra
from edgefair.files import write_atomic
from edgefair.progress import Progress, silent
from edgefair.scratch import work_folder
from edgefair.workflow.compression.calibration import CalibrationRows
from edgefair.workflow.compression.recipes import recipe_of
from edgefair.workflow.job import Job
from edgefair.workflow.models.graph_inputs import GraphInputs
from edgefair.workflow.models.runs import choose_run
from edgefair.workflow.models.trained import trained_model
from edgefair.workflow.models.vocabulary import categories_of_run


def write_program(
    config: Config, run: str | None, path: Path, progress: Progress = silent, *, int8: bool = False
) -> None:
    """Write a training run as an ExecuTorch (.pte) or LiteRT (.tflite) program, which `verify` judges: nobody has yet.

    Args:
        run: its name; default: the only one.
        path: the file; its suffix says which runtime's.
        int8: 8-bit weights and activations, calibrated on the rows of `compress.calibration`.

    Raises:
        UsageError: no such run, no such runtime, the file cannot be written, a package is missing, or 8 bits of a
            program that is not quantized here.
        DataError: rows that cannot calibrate.
        ModelError: the network cannot be exported.
    """
    name = choose_run(config, run)
    try:
        from edgefair.exporters.programs import PROGRAMS
        from edgefair.training.build import load_classifier
        from edgefair.training.run import load_run
    except ImportError as error:
        raise missing_extra("a program", "torch", error) from error
    writer = PROGRAMS.get(path.suffix)
    if writer is None:
        expected = " or ".join(f"*{suffix}" for suffix in PROGRAMS)
        raise UsageError(f"the name '{path}' says no runtime", expected=expected)
    if int8 and writer.quantize is None:
        raise UsageError(f"programs for {writer.runtime} stay in float here", fix="omit --int8")
    found = load_run(config.run_path(name))
    rows = _calibration_rows(config, name, progress) if int8 else None
    progress.stage(f"exporting to {writer.runtime}")
    try:
        content = writer.program_of(load_classifier(found), found.spec, found.array_shapes, rows)
    except ImportError as error:
        raise UsageError(
            f"a program for {writer.runtime} cannot be made: {error}", fix=f"pip install {writer.packages}"
        ) from error
    try:
        write_atomic(path, content)
    except OSError as error:
        raise UsageError(f"the program cannot be written to '{path}': {error.strerror}") from error


def _calibration_rows(config: Config, run: str, progress: Progress) -> GraphInputs:
    """The rows of `compress.calibration`, as the network takes them."""
    progress.stage("reading calibration rows")
    data = load(config.data, base=config.base, roles=["train"], categories=categories_of_run(config, run))
    with work_folder() as folder:
        reference = trained_model(config, run, folder / "run" / "fp32.onnx", progress)
        found = CalibrationRows(Job(config, data, progress), reference)
        rows, _ = found.rows(recipe_of(config, config.compress.calibration))
    return found.batches(rows)
