"""No compression at all: the fine-tune alone, with which the effect of a compression is compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from edgefair.compress.config import CompressConfig
from edgefair.compress.steps.base import Context, Plan, Project, Stage, Step
from edgefair.training.classifier import Classifier


class Unchanged(Step):
    """The network as it is, trained on as behind any other step."""

    @classmethod
    def from_config(cls, compress: CompressConfig, project: Project) -> Iterator[Stage]:
        """One stage, where `finetune_only` is asked for."""
        if compress.finetune_only:
            yield Stage("finetune-only", {}, cls(), project.finetune)

    def check(self, classifier: Classifier) -> None:  # noqa: ARG002
        """Any network can be trained on."""
        return

    def plan(self, classifier: Classifier, context: Context) -> Plan:  # noqa: ARG002
        """Nothing is decided."""
        return {"step": "finetune-only"}

    def apply(self, classifier: Classifier, plan: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Nothing is changed."""
        return

    def describe(self, plan: Mapping[str, Any], original: Mapping[str, float]) -> tuple[str, ...]:  # noqa: ARG002
        """That it was only trained on."""
        return ("trained on, and not compressed",)
