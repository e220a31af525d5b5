"""Trainings and torch steps that could never be carried out, found before any of them begins."""

from __future__ import annotations

from edgefair.workflow.compression.steps import stages
from edgefair.workflow.job import Job
from edgefair.workflow.training.fit import training_rows
from edgefair.workflow.training.torch_here import require_torch


def check_treatments(job: Job) -> None:
    """Refuse methods that the training rows cannot serve.

    Raises:
        UsageError: an unknown method, or two that contradict; PyTorch is missing.
        DataError: a group and label without a training row.
    """
    require_torch()
    from edgefair.debias import open_methods
    from edgefair.training.features import spec_for

    rows = training_rows(job.data, spec_for(job.data, job.config.model), job.config.policy.base_attributes)
    for items in (job.config.debias.train, job.config.debias.finetune or ()):
        for method in open_methods([(item.method, item.options) for item in items]):
            method.start(rows.cells)


def check_network(job: Job) -> None:
    """Refuse a network that cannot be made of these rows, or that a step of `compress:` cannot be done on.

    Raises:
        UsageError: an unknown network or option; a step that the project cannot have; PyTorch is missing.
        ModelError: see the steps.
    """
    require_torch()
    from edgefair.training.build import build_classifier
    from edgefair.training.features import spec_for
    from edgefair.training.networks.narrower import narrower

    config, data = job.config, job.data
    spec, model, distill = spec_for(data, config.model), config.model, config.compress.distill
    if distill is not None and not isinstance(distill.student, str):
        model = model.model_copy(update={"options": narrower(model.network, model.options, distill.student)})
    classifier = build_classifier(spec, model, data.array_shapes(), seed=config.seed)
    for stage in stages(config, config.compress):
        if stage.step is not None:
            stage.step.check(classifier)
