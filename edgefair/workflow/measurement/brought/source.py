"""Which files of decisions are to be judged, and what is said of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgefair.config import Config
from edgefair.errors import ModelError, PolicyError, UsageError
from edgefair.files import sha256_file, shown
from edgefair.report.results.verification import BroughtDecisions, BroughtFile, ModelFile

CLAIMED = "that '{}' made these decisions is a claim, and was not verified"


@dataclass(frozen=True)
class Brought:
    """Files of decisions.

    Attributes:
        decisions: .csv or .parquet, with a row for every audit row; target -> its file, in the order of the report.
        model: the file that is said to have made them, of whatever kind.
        reference: the model before compression, which is run here on the same rows.
        reference_decisions: its decisions in a file of the same kind, instead.
    """

    decisions: Mapping[str, Path]
    model: Path | None = None
    reference: Path | None = None
    reference_decisions: Path | None = None

    def check(self, config: Config) -> None:
        """Refuse what cannot be judged before anything is read.

        Raises:
            PolicyError: the policy wants decisions that are attested.
            UsageError: two references.
            ModelError: the model is not a file.
        """
        if config.policy.decisions == "attested":
            raise PolicyError(
                f"policy.decisions is attested, and '{self.first}' was brought",
                expected="a model that a target is asked for its decisions",
                fix="measure the file on a target, or judge with policy.decisions: any",
            )
        if None not in {self.reference, self.reference_decisions}:
            raise UsageError(
                "--reference and --reference-decisions are both given", expected="one of them: there is one reference"
            )
        if self.model is not None and not self.model.is_file():
            raise ModelError(
                f"'{self.model}' is no model file", fix="pass the file that is said to have made the decisions, or none"
            )

    @property
    def first(self) -> Path:
        """The first of the files."""
        return next(iter(self.decisions.values()))

    def model_file(self, config: Config) -> ModelFile:
        """The model as it is claimed; without digest and size where none is."""
        if self.model is None:
            return ModelFile(shown(self.first, config.base), None, None)
        return ModelFile(shown(self.model, config.base), sha256_file(self.model), self.model.stat().st_size)

    def said(self, config: Config) -> BroughtDecisions:
        """What the report says of the files."""
        other = self.reference_decisions
        files = tuple(
            BroughtFile(target, shown(path, config.base), sha256_file(path)) for target, path in self.decisions.items()
        )
        return BroughtDecisions(
            path=files[0].path,
            sha256=files[0].sha256,
            reference=None if other is None else sha256_file(other),
            files=files if len(files) > 1 else (),
        )

    def notes(self, config: Config) -> tuple[str, ...]:
        """What a reader of the verdict must know."""
        claimed = () if self.model is None else (CLAIMED.format(shown(self.model, config.base)),)
        return (self.said(config).note, *claimed)
