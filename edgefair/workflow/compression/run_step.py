"""Carry out one torch step of a recipe on a run, resumably: decide, change the network, train what is left."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edgefair.compress.config import CompressConfig
from edgefair.compress.steps.base import Context, Learned, Plan, Stage
from edgefair.data.identity.seen import SeenRows, columns_of
from edgefair.errors import EdgefairError
from edgefair.files import sha256_json, write_atomic
from edgefair.progress import timed
from edgefair.scratch import work_folder
from edgefair.targets import load_profile
from edgefair.training.settings import MethodConfig, TrainConfig
from edgefair.workflow.compression.steps import said_of, student_of, teacher_digest, teacher_of, untrained
from edgefair.workflow.job import Job
from edgefair.workflow.measurement.quick_latency import median_ms
from edgefair.workflow.models.runs import hold_run
from edgefair.workflow.training.fit import count, fit, training_rows
from edgefair.workflow.training.run_folder import prepare_folder
from edgefair.workflow.training.torch_here import device_of

if TYPE_CHECKING:
    from pathlib import Path

    import onnx

    from edgefair.training.checkpoint import Checkpoint
    from edgefair.training.classifier import Classifier
    from edgefair.training.distill import Distill
    from edgefair.training.engine import Engine
    from edgefair.training.rows import TrainingRows
    from edgefair.training.run import Run

PLAN, START = "plan.json", "start.safetensors"


class Work:
    """Carries out stages of one recipe on one run."""

    def __init__(self, job: Job, run: Run, chosen: tuple[MethodConfig, ...], compress: CompressConfig) -> None:
        self.compress = compress
        self._job = job
        self._run = run
        self._chosen = chosen
        # Costs before any pruning.
        self._before: dict[str, float] = {}

    @functools.cached_property
    def _rows(self) -> TrainingRows:
        config = self._job.config
        memory_mb = config.finetune_settings.memory_mb
        return training_rows(self._job.data, self._run.spec, config.policy.base_attributes, memory_mb=memory_mb)

    @functools.cached_property
    def _engine(self) -> Engine:
        from edgefair.training.engine import Engine

        return Engine(self._job.config.train.device)

    def carry_out(
        self, stage: Stage, classifier: Classifier, previous: str
    ) -> tuple[Classifier, str, dict[str, Learned], dict[str, Any]]:
        """The network after a stage, its digest, ranges learned by it, and what was done.

        What another export carries out at this moment is waited for, and read.

        Args:
            previous: digest of the network that the stage begins with.
        """
        settings = self._settings(stage, previous)
        digest = sha256_json(settings)
        folder = self._run.folder / f"{stage.name}-{digest[:12]}"
        with hold_run(folder, self._job.progress, wait=True), timed(f"step {stage.name}"):
            classifier, ranges, record = self._carried_out(stage, classifier, folder, settings)
        return classifier, digest, ranges, record

    def _carried_out(
        self, stage: Stage, classifier: Classifier, folder: Path, settings: dict[str, Any]
    ) -> tuple[Classifier, dict[str, Learned], dict[str, Any]]:
        from edgefair.training.checkpoint import Checkpoint, load_weights, save_weights
        from edgefair.training.run import Run

        finished = prepare_folder(folder, settings)
        try:
            classifier, plan = self._decided(stage, classifier, folder)
        except EdgefairError:
            with contextlib.suppress(OSError):  # it holds what an interrupted step has left
                folder.rmdir()
            raise
        if finished is None:
            checkpoint = Checkpoint(folder / "checkpoint.safetensors", sha256_json(settings))
            metrics = (
                self._trained(stage, stage.train, classifier, checkpoint) if stage.train else self._as_it_is(classifier)
            )
            finished = Run(folder, self._run.spec, self._run.model, self._run.array_shapes, settings, metrics)
            save_weights(classifier, finished.weights)
            finished.save([SeenRows.of([self._job.data.train, self._job.data.validation], columns_of(self._run.spec))])
            checkpoint.path.unlink(missing_ok=True)
        load_weights(finished.weights, classifier)
        ranges = {} if stage.step is None else stage.step.finish(classifier)
        record = {
            **settings,
            "plan": {name: value for name, value in plan.items() if name != "cut"},
            "standing": finished.metrics["standing"],
            "kept_epoch": finished.metrics["kept_epoch"],
            "threads": finished.metrics.get("threads"),
        }
        record |= {name: [before, plan["after"][name]] for name, before in self._before.items() if "after" in plan}
        record["notes"] = [*said_of(stage, record, self._before), *finished.metrics["notes"]]
        return classifier, ranges, record

    def _trained(
        self, stage: Stage, settings: TrainConfig, classifier: Classifier, checkpoint: Checkpoint
    ) -> dict[str, Any]:
        """Train in place with the run's treatment; the metrics."""
        from edgefair.debias import open_methods
        from edgefair.training.build import load_classifier
        from edgefair.training.loop import TrainingRecipe

        self._job.progress.stage(f"training ({stage.name})")
        methods = open_methods([(item.method, item.options) for item in self._chosen])
        return fit(
            self._job,
            self._run.spec,
            classifier,
            TrainingRecipe(settings, methods, self._teacher(stage), load_classifier(self._run)),
            rows=self._rows,
            checkpoint=checkpoint,
            engine=self._engine,
        )

    def _as_it_is(self, classifier: Classifier) -> dict[str, Any]:
        """Learn the statistics of normalizations that are left, and no weight; the metrics."""
        import torch

        from edgefair.compress.steps.pruning.statistics import renew_statistics
        from edgefair.training.selection import standing

        plan = self._job.config.train.for_rows(len(self._rows))
        renew_statistics(classifier, self._rows, plan.batch_rows)
        counts = count(classifier, self._job.data.validation, self._run.spec, self._job.config.policy.base_attributes)
        return {
            "kept_epoch": None,
            "notes": [],
            "threads": torch.get_num_threads(),
            "standing": standing(counts, self._job.config.policy, aim=self._job.config.train.aim).to_json(),
            "validation": counts.to_json(),
        }

    def _settings(self, stage: Stage, previous: str) -> dict[str, Any]:
        distill = self.compress.distill
        trained = stage.train is not None
        return {
            "of": previous,
            "step": stage.name,
            **stage.settings,
            "finetune": stage.train.deciding if stage.train is not None else None,
            "debias": [item.model_dump(mode="json") for item in self._chosen if trained],
            "distill": distill.model_dump(mode="json") if distill is not None and stage.taught else None,
            "teacher": teacher_digest(self._job.config, distill if stage.taught else None),
            "selection": self._job.config.policy.digest,
            "seed": self._job.config.seed,
            "train_rows": self._job.data.train.fingerprint,
            "validation_rows": self._job.data.validation.fingerprint,
            "torch": self._run.settings["torch"],
            **(device_of(self._engine) if trained else {}),
        }

    def _decided(self, stage: Stage, classifier: Classifier, folder: Path) -> tuple[Classifier, Plan]:
        """The network as its training begins: what was decided before is read, not decided again."""
        from edgefair.training.checkpoint import load_weights, save_weights

        step, distill = stage.step, self.compress.distill
        if step is None:
            return student_of(self._job.config, distill, self._run, classifier), {}  # type: ignore[arg-type]
        if stage.fresh:
            classifier = untrained(self._job.config, self._run.model, self._run, classifier)
        if (folder / PLAN).exists():
            plan: Plan = json.loads((folder / PLAN).read_text(encoding="utf-8"))
            load_weights(folder / START, classifier)
        else:
            self._job.progress.stage(f"step {stage.name}")
            plan = step.plan(classifier, self._context)
            save_weights(classifier, folder / START)
            write_atomic(folder / PLAN, json.dumps(plan).encode())
        if "before" in plan:
            self._before = self._before or plan["before"]
        step.apply(classifier, plan)
        return classifier, plan

    @property
    def _context(self) -> Context:
        progress = self._job.progress
        return Context(self._rows, self._job.config.seed, progress, self._latency_ms, self._before, self._exported)

    def _exported(self, classifier: Classifier) -> onnx.ModelProto:
        """The prepared graph of a network."""
        from edgefair.compress.quantization.prepare import prepare_graph
        from edgefair.exporters.torch_module import export_classifier

        with work_folder() as folder:
            run = self._run
            return prepare_graph(export_classifier(classifier, run.spec, run.array_shapes, folder / "model.onnx"))

    def _teacher(self, stage: Stage) -> Distill | None:
        if self.compress.distill is None or not stage.taught:
            return None
        return teacher_of(self._job.config, self.compress.distill, self._run)

    @property
    def _latency_ms(self) -> Callable[[Classifier], float] | None:
        """Median milliseconds of a network on the first target; None where its clock says nothing."""
        from edgefair.exporters.torch_module import export_classifier

        profile = load_profile(self._job.config.targets[0])
        if not profile.latency.measured:
            return None

        def measured(classifier: Classifier) -> float:
            with work_folder() as folder:
                path = folder / "model.onnx"
                export_classifier(classifier, self._run.spec, self._run.array_shapes, path)
                return median_ms(self._job.targets, profile, path, self._job.data.validation, self._run.spec)

        return measured
