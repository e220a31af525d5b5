"""The FP32 ONNX file of a training run."""

from __future__ import annotations

from pathlib import Path

from edgefair.config import Config
from edgefair.errors import missing_extra
from edgefair.progress import Progress
from edgefair.workflow.models.reference import Reference


def trained_model(config: Config, name: str, to: Path, progress: Progress) -> Reference:
    """The FP32 ONNX file of a training run, written to `to`.

    Raises:
        UsageError: PyTorch is missing.
        ModelError: the run is unfinished, or its network cannot be exported.
    """
    progress.stage("exporting to ONNX")
    try:
        from edgefair.exporters.torch_module import export_classifier
        from edgefair.training.build import load_classifier
        from edgefair.training.run import load_run
    except ImportError as error:
        raise missing_extra("the export of a training run", "torch", error) from error
    run = load_run(config.run_path(name))
    to.parent.mkdir()
    export_classifier(load_classifier(run), run.spec, run.array_shapes, to)
    return Reference(run.spec, to, {"run": name, "training": run.settings})
