"""Peeps: drawn people of five skin tones, whose expression a model has to tell.

Drawings, not photographs: a number measured here says nothing about people. But the cause of their gap is physical, as
it is with cameras: lines are black, and on darker skin there is less light between them and what they are drawn on.

Drawings: Open Peeps by Pablo Stanley, CC0 1.0, as packaged by dicebear-styles (its `meta` and LICENSE.md say so).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from edgefair.data.hashing import mix, text_hash
from edgefair.data.written import value_lists
from edgefair.errors import did_you_mean

# Names of the drawings' own five tones, from light to dark.
TONES: Mapping[str, str] = {
    "lightest": "#ffdbb4",
    "light": "#edb98a",
    "medium": "#d08b5b",
    "dark": "#ae5d29",
    "darkest": "#694d3d",
}
# All expressions that the drawings have.
EXPRESSIONS = (
    "angryWithFang", "awe", "blank", "calm", "cheeky", "concerned", "concernedFear", "contempt", "cute", "cyclops",
    "driven", "eatingHappy", "explaining", "eyesClosed", "fear", "hectic", "lovingGrin1", "lovingGrin2", "monster",
    "old", "rage", "serious", "smile", "smileBig", "smileLOL", "smileTeethGap", "solemn", "suspicious", "tired",
    "veryAngry",
)  # fmt: skip
UPSET = ("angryWithFang", "concerned", "concernedFear", "fear", "rage", "serious", "solemn", "suspicious", "tired",
         "veryAngry")  # fmt: skip
PLEASED = ("calm", "cheeky", "cute", "eatingHappy", "lovingGrin1", "lovingGrin2", "smile", "smileBig", "smileLOL",
           "smileTeethGap")  # fmt: skip


class PeepsConfig(BaseModel):
    """Options of the drawings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: int = Field(8_000, ge=100, description="Rows to train and validate with, equally many of every label.")
    audit_rows: int = Field(8_000, ge=10, description="Audit rows, equally many in every (tone, label) cell.")
    size: int = Field(48, ge=8, le=512, description="Height and width, in pixels.")
    expressions: dict[str, tuple[str, ...]] = Field(
        {"upset": UPSET, "pleased": PLEASED},
        min_length=2,
        description="Label -> the expressions that it stands for, drawn equally often.",
    )
    shares: dict[str, float] = Field(
        default_factory=dict,
        description="Tone -> how often it is drawn in training, against 1 of those that are not named.",
    )
    contrast: float = Field(1.0, gt=0, le=1, description="Of every picture, about mid grey.")
    noise: float = Field(0.05, ge=0, le=1, description="Standard deviation of each pixel.")
    seed: int = Field(0, ge=0, description="Draws the rows and the pictures.")

    @field_validator("expressions", mode="before")
    @classmethod
    def _values_are_lists(cls, value: Any) -> Any:
        return value_lists(value)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        named = [name for names in self.expressions.values() for name in names]
        for name in named:
            if name not in EXPRESSIONS:
                raise ValueError(
                    f"unknown expression '{name}'{did_you_mean(name, EXPRESSIONS)}; one of {', '.join(EXPRESSIONS)}"
                )
            if named.count(name) > 1:
                raise ValueError(f"the expression '{name}' is listed twice in `expressions`")
        for label, names in self.expressions.items():
            if not names:
                raise ValueError(f"the label '{label}' has no expression")
        for tone, share in self.shares.items():
            if tone not in TONES:
                raise ValueError(f"unknown tone '{tone}'{did_you_mean(tone, TONES)}; one of {', '.join(TONES)}")
            if not 0 < share <= 1:
                raise ValueError(f"the share of '{tone}' is {share:g}: at most 1, which others have, and above 0")
        cells = len(TONES) * len(self.expressions)
        if self.audit_rows < cells:
            raise ValueError(f"{self.audit_rows} audit rows for {cells} cells: give each cell at least one")
        return self

    @property
    def labels(self) -> tuple[str, ...]:
        """What the model tells apart, in the order of its classes."""
        return tuple(self.expressions)


@dataclass(frozen=True, eq=False)
class PeepRows:
    """All rows, training rows first; every array is [rows].

    Attributes:
        label: index into the labels, int32.
        expression: index into `EXPRESSIONS`, int32.
        tone: index into `TONES`, int32.
        split: 0 for training, 1 for audit, int32.
        seed: what a picture is drawn from, uint64; no two rows share one.
    """

    label: NDArray[np.int32]
    expression: NDArray[np.int32]
    tone: NDArray[np.int32]
    split: NDArray[np.int32]
    seed: NDArray[np.uint64]


def peep_rows(config: PeepsConfig) -> PeepRows:
    """Draw tones, labels, expressions and seeds; nothing is rendered, and no package of the drawings is needed."""
    rng = np.random.default_rng([config.seed, 2])
    weights = np.array([config.shares.get(tone, 1.0) for tone in TONES])
    classes, tones = len(config.labels), len(TONES)
    tone = rng.choice(tones, config.rows, p=weights / weights.sum())
    label = rng.permutation(np.arange(config.rows) % classes)
    cell = rng.permutation(np.repeat(np.arange(tones * classes), config.audit_rows // (tones * classes)))
    audit_tone, audit_label = np.divmod(cell, classes)
    label = np.concatenate([label, audit_label])
    rows = len(label)
    start = mix(np.array([config.seed], dtype=np.uint64) ^ text_hash("peeps"))
    return PeepRows(
        label=label.astype(np.int32),
        expression=_expressions(config, label, rng.random(rows)),
        tone=np.concatenate([tone, audit_tone]).astype(np.int32),
        split=np.repeat([0, 1], [config.rows, len(cell)]).astype(np.int32),
        seed=mix(np.add(start, np.arange(rows, dtype=np.uint64), dtype=np.uint64)),
    )


def _expressions(config: PeepsConfig, label: NDArray[Any], chance: NDArray[np.float64]) -> NDArray[np.int32]:
    """One of its label's expressions for each row, index into `EXPRESSIONS`: int32 [rows]."""
    found = np.empty(len(label), dtype=np.int32)
    for code, names in enumerate(config.expressions.values()):
        own = np.array([EXPRESSIONS.index(name) for name in names], dtype=np.int32)
        mine = label == code
        found[mine] = own[(chance[mine] * len(own)).astype(np.int64)]
    return found
