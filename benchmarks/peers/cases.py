"""The networks that `int8_peers.py` compresses: made once, kept below the work folder."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import torch
from peers.fitting import fit, settle
from peers.rows import PAD, WORDS, Rows, census, glyphs, some_of, texts
from safetensors.torch import load_file, save_file

from edgefair.data.images.glyphs import SHAPES
from edgefair.exporters.torch_module import export_classifier
from edgefair.probe.onnx_files.spec import InputSpec, ModelSpec, PictureSpec, Reading, TokenSpec
from edgefair.training.build import build_classifier
from edgefair.training.classifier import Classifier
from edgefair.training.features import spec_for
from edgefair.training.settings import ModelConfig, PictureConfig

Kind = Literal["convolutions", "transformer", "text", "table"]
Made = tuple[Classifier, ModelSpec, Rows, Rows]
CALIBRATION_ROWS = {"convolutions": 128, "transformer": 128, "text": 32, "table": 512}
# Rows that a network is settled on, and audit rows of networks that take long.
SETTLING, FEW = 256, 800
TRAINED_SIDE = 64
READING = Reading(output="decision", kind="label", threshold=0.5, score="score")


@dataclass(frozen=True)
class Case:
    """A network and where its files are: fp32.onnx, calibration.npz (graph inputs), audit.npz, and INT8 files."""

    name: str
    kind: Kind
    folder: Path

    @property
    def fp32(self) -> Path:
        return self.folder / "fp32.onnx"

    @property
    def calibration(self) -> Path:
        return self.folder / "calibration.npz"

    @property
    def audit(self) -> Path:
        return self.folder / "audit.npz"


class Recipe(Protocol):
    """How a network is made: its fields are all that decides it."""

    name: str
    kind: ClassVar[Kind]

    def make(self, work: Path) -> Made:
        """Classifier, spec, training rows and audit rows."""
        ...


def case_of(recipe: Recipe, work: Path) -> Case:
    """Make and export the network, unless that is done."""
    key = hashlib.sha256(f"{recipe} {CALIBRATION_ROWS} {SETTLING} {FEW}".encode()).hexdigest()
    case = Case(recipe.name, recipe.kind, work / f"{recipe.name.replace(' ', '-')}-{key[:8]}")
    if not case.audit.exists():
        case.folder.mkdir(parents=True, exist_ok=True)
        classifier, spec, train, audit = recipe.make(work)
        export_classifier(classifier.eval(), spec, {}, case.fp32)
        chosen = np.random.default_rng(0).permutation(len(train))[: CALIBRATION_ROWS[recipe.kind]]
        np.savez(case.calibration, **train[chosen].inputs)
        audit.save(case.audit)
    return case


@dataclass(frozen=True)
class Pictures:
    """A network of glyphs, trained at TRAINED_SIDE; for another side the same weights, settled there.

    Attributes:
        knobs: of the generator.
        label: see `glyphs`.
    """

    name: str
    network: str
    side: int
    stem: str | None
    label: Literal["shape", "look"]
    knobs: tuple[tuple[str, float], ...]
    rows: int
    epochs: int
    learning_rate: float
    kind: ClassVar[Kind] = "convolutions"

    def make(self, work: Path) -> Made:
        """See `Recipe`."""
        classifier, spec = self._untrained(TRAINED_SIDE)
        train, audit = self._rows(TRAINED_SIDE, self.rows)
        key = hashlib.sha256(
            repr((self.stem, self.label, self.knobs, self.rows, self.epochs, self.learning_rate)).encode()
        )
        weights = work / f"{self.network}-{key.hexdigest()[:8]}.safetensors"
        if not weights.exists():
            fit(classifier, train, epochs=self.epochs, learning_rate=self.learning_rate)
            save_file(classifier.network.state_dict(), weights)
        if self.side != TRAINED_SIDE:
            classifier, spec = self._untrained(self.side)
            train, audit = self._rows(self.side, max(SETTLING, CALIBRATION_ROWS[self.kind]))
            audit = audit[:FEW]
        classifier.network.load_state_dict(load_file(weights))
        if self.side != TRAINED_SIDE:
            settle(classifier, train[:SETTLING])
        return classifier, spec, train, audit

    def _rows(self, side: int, rows: int) -> tuple[Rows, Rows]:
        return glyphs(side, rows, label=self.label, knobs=dict(self.knobs))

    def _untrained(self, side: int) -> tuple[Classifier, ModelSpec]:
        picture = InputSpec("picture", "uint8", picture=PictureSpec("picture", side, side))
        spec = ModelSpec((picture,), READING, SHAPES[:2])
        options: dict[str, Any] = {} if self.stem is None else {"stem": self.stem}
        model = ModelConfig(network=self.network, options=options, picture=PictureConfig(height=side, width=side))
        return build_classifier(spec, model, {}, seed=0), spec


@dataclass(frozen=True)
class TransformerPictures(Pictures):
    """The same without convolutions."""

    kind: ClassVar[Kind] = "transformer"


@dataclass(frozen=True)
class Texts:
    """A transformer of DistilBERT's size (Sanh et al. 2019) with random weights, whose last layer is fitted.

    What can be learned is planted: the embeddings of the words that speak for a class share a direction.
    """

    name: str
    length: int = 128
    vocabulary: int = 30_522
    width: int = 768
    depth: int = 6
    heads: int = 12
    kind: ClassVar[Kind] = "text"

    def make(self, work: Path) -> Made:  # noqa: ARG002
        """See `Recipe`."""
        tokens = TokenSpec("text", "ids", self.length, tokenizer="0" * 64, vocabulary=self.vocabulary, pad=PAD)
        spec = ModelSpec((InputSpec("input_ids", "int32", tokens=tokens),), READING, ("first", "second"))
        options = {"width": self.width, "depth": self.depth, "heads": self.heads, "dropout": 0.0}
        model = ModelConfig(network="text-transformer", options=options, text_length=self.length)
        classifier = build_classifier(spec, model, {}, seed=0)
        table = classifier.network.get_submodule("model.bert.embeddings.word_embeddings").weight
        with torch.no_grad():
            direction = torch.randn(self.width) * table.std()
            for sign, words in zip((-1, 1), WORDS, strict=True):
                table[list(words)] += sign * direction
        train = texts(SETTLING, self.length, self.vocabulary, seed=1)
        settle(classifier, train)
        return classifier, spec, train, texts(FEW // 2, self.length, self.vocabulary, seed=2)


@dataclass(frozen=True)
class Table:
    """The MLP of tables on Census-Income."""

    name: str
    hidden: tuple[int, ...] = (128, 64)
    rows: int = 60_000
    epochs: int = 3
    kind: ClassVar[Kind] = "table"

    def make(self, work: Path) -> Made:
        """See `Recipe`."""
        data = census(work)
        model = ModelConfig(network="mlp", options={"hidden": self.hidden})
        spec = spec_for(data, model)
        train, audit = some_of(data, spec, "train", self.rows), some_of(data, spec, "audit", 20_000)
        classifier = build_classifier(spec, model, {}, seed=0)
        classifier.preprocess.fit(*(torch.from_numpy(x) for x in train.inputs.values()))
        fit(classifier, train, epochs=self.epochs, learning_rate=2e-3, batch_rows=512)
        return classifier, spec, train, audit


SHAPE_KNOBS = (("contrast", 0.7), ("texture", 0.04), ("share", 0.4))
# A transformer needs more pictures than these to learn shapes; it learns looks.
LOOK_KNOBS = (("contrast", 0.9), ("stroke", 0.85), ("texture", 0.1), ("share", 0.5))


def convolutional(network: str, side: int, *, rows: int, epochs: int, learning_rate: float) -> Pictures:
    """A convolutional network with the published stem, at both sizes."""
    name = f"{network} {side} px"
    return Pictures(name, network, side, "imagenet", "shape", SHAPE_KNOBS, rows, epochs, learning_rate)


RECIPES: tuple[Recipe, ...] = (
    *(convolutional("resnet-18", side, rows=800, epochs=3, learning_rate=2e-3) for side in (64, 224)),
    *(convolutional("mobilenet-v2", side, rows=1000, epochs=4, learning_rate=3e-3) for side in (64, 224)),
    TransformerPictures("vit-small 64 px", "vit-small", 64, None, "look", LOOK_KNOBS, 800, 3, 5e-4),
    Texts("distilbert-size 128 tokens"),
    Table("census mlp 128-64"),
)
QUICK: Recipe = convolutional("mobilenet-v2", 64, rows=640, epochs=3, learning_rate=3e-3)
