"""Rows a second in training: edgefair's `train()` beside a bare loop over tensors that lie ready, in one run.

Both sides train the same network from the same weights with the same optimizer in the same batches, in turns; the bare
loop checks, weighs and stores nothing. JPEG files go the whole way (read, decoded, cut) in their first epoch and are
held from then on. What decoding alone reaches is measured beside them: on a processor it takes its time from the same
cores, beside a GPU it runs ahead, and `attainable` is the bare loop with that and nothing else added. Of a compiled
network the last epoch is timed, after it was compiled.

    python benchmarks/training_throughput.py [--quick] [--rounds N] [--only PART_OF_A_NAME] [--compile] [--cpu]

Goal: 0.9 of the bare loop for what lies ready, 0.9 of what is attainable for files. On a GPU also in bf16 (with
`--compile` compiled too), and how far gradients in channels-last memory are from the ordinary ones.
"""

from __future__ import annotations

import argparse
import csv
import io
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import Claim, finish_claims, print_machine
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from edgefair.config import parse_config
from edgefair.data.dataset import DataSet, load
from edgefair.data.files.encoded import EncodedRows
from edgefair.data.files.lazy import makers
from edgefair.debias import Cells
from edgefair.probe.onnx_files.spec import Column, InputSpec, ModelSpec, Reading, TokenSpec
from edgefair.progress import Progress
from edgefair.training.checkpoint import Checkpoint
from edgefair.training.classifier import Classifier, Preprocess
from edgefair.training.engine import Engine
from edgefair.training.epoch.arithmetic import DTYPES, open_optimizer
from edgefair.training.features import spec_for
from edgefair.training.loop import TrainingRecipe, train
from edgefair.training.rows import TrainingRows
from edgefair.training.settings import PictureConfig, TrainConfig
from edgefair.workflow.training.fit import training_rows

GOAL = 0.9
EPOCHS = 3
READING = Reading("decision", "label", 0.5, "score")
PICTURE = PictureConfig()
FILE_SIDE = {64: 72, 224: 256}


@dataclass(frozen=True)
class Case:
    """One kind of rows and a network for it.

    Attributes:
        inputs: ready tensors [rows, ...].
        rows: makes the rows for edgefair, anew for every training.
        network: makes the network.
        decoding: seconds that decoding all rows takes alone; None where they lie ready.
    """

    name: str
    spec: ModelSpec
    inputs: tuple[Tensor, ...]
    cells: Cells
    rows: Callable[[], TrainingRows]
    network: Callable[[], nn.Module]
    batch_rows: int
    picture: PictureConfig = PICTURE
    precision: str = "fp32"
    compiled: bool = False
    decoding: float | None = None

    @property
    def config(self) -> TrainConfig:
        """As edgefair is told."""
        return TrainConfig(epochs=EPOCHS, batch_rows=self.batch_rows, precision=self.precision, compile=self.compiled)

    def classifier(self) -> Classifier:
        """The untrained network, always the same."""
        torch.manual_seed(0)
        return Classifier(Preprocess(self.spec.inputs, {}, self.picture), self.network())


class Block(nn.Module):
    """Two convolutions beside a shortcut (He et al., CVPR 2016)."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.one = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(),
            nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after),
        )  # fmt: skip
        self.short = (
            nn.Identity()
            if stride == 1 and before == after
            else nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))
        )

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.one(x) + self.short(x))


def resnet_18(width: int, side: int) -> nn.Module:
    """ResNet-18 with so many channels in its first stage; up to 64 pixels the resolution is kept at the beginning."""
    stem = (
        [nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        if side <= 64
        else [nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    )
    sizes = [width, width, 2 * width, 4 * width, 8 * width]
    blocks = [
        block
        for stage in range(4)
        for block in (
            Block(sizes[stage], sizes[stage + 1], 1 if stage == 0 else 2), Block(sizes[stage + 1], sizes[stage + 1], 1)
        )
    ]  # fmt: skip
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8 * width, 2))


class TextNetwork(nn.Module):
    """Embedding, two transformer layers, mean."""

    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        layer = nn.TransformerEncoderLayer(width, 4, 4 * width, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(width, 2)

    def forward(self, ids: Tensor) -> Tensor:
        logits: Tensor = self.head(self.layers(self.embedding(ids)).mean(dim=1))
        return logits


def random_cells(rows: int) -> Cells:
    """Two groups and two labels by chance."""
    return Cells(torch.randint(2, (rows,)), torch.randint(2, (rows,)), ("a", "b"), ("no", "yes"))


def held(name: str, item: InputSpec, x: Tensor, network: Callable[[], nn.Module], batch_rows: int) -> Case:
    """Rows that lie ready on both sides."""
    cells = random_cells(len(x))
    spec = ModelSpec((item,), READING, ("no", "yes"))
    return Case(name, spec, (x,), cells, lambda: TrainingRows.held((x,), cells), network, batch_rows)


def table_case(rows: int) -> Case:
    """40 columns of numbers."""
    item = InputSpec("numeric", "float32", tuple(Column(f"c{index}") for index in range(40)))

    def network() -> nn.Module:
        return nn.Sequential(nn.Linear(40, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 2))

    return held("table, 40 columns", item, torch.randn(rows, 40), network, 1024)


def text_case(rows: int, width: int) -> Case:
    """Texts of 64 tokens."""
    item = InputSpec("input_ids", "int32", tokens=TokenSpec("text", "ids", 64, "0" * 64, 1000, 0))
    ids = torch.randint(1000, (rows, 64), dtype=torch.int32)
    return held("texts, 64 tokens", item, ids, lambda: TextNetwork(1000, width), 64)


def write_jpegs(folder: Path, rows: int, side: int) -> None:
    """Pictures with some detail, and their table."""
    random = np.random.default_rng(0)
    (folder / "pictures").mkdir(parents=True)
    for row in range(rows):
        coarse = random.integers(0, 256, (side // 6, side // 6, 3), dtype=np.uint8)
        stream = io.BytesIO()
        Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC).save(stream, "JPEG", quality=90)
        (folder / "pictures" / f"{row}.jpg").write_bytes(stream.getvalue())
    with (folder / "faces.csv").open("w", newline="") as stream:
        lines = [(f"{row}.jpg", "yes" if row % 2 else "no", "ab"[row // 2 % 2]) for row in range(rows)]
        csv.writer(stream).writerows([("path", "smiling", "group"), *lines])


def read_jpegs(folder: Path, side: int) -> tuple[DataSet, ModelSpec, PictureConfig]:
    """The files as a project reads them."""
    data = {"source": "faces.csv", "picture": "path", "folder": "pictures", "label": "smiling", "positive": "yes"}
    config = parse_config(
        {
            "data": {**data, "sensitive": ["group"]},
            "model": {"network": "resnet-18", "picture": {"height": side, "width": side}},
            "policy": {"max_eo_gap": 0.05, "attributes": {"group": {"groups": ["a", "b"]}}},
        },
        base=folder,
    )
    found = load(config.data, base=folder, roles=["train"])
    return found, spec_for(found, config.model), config.model.picture


def picture_cases(folder: Path, *, rows: int, side: int, width: int, batch_rows: int) -> list[Case]:
    """Pictures that lie ready, and the same ones as JPEG files."""
    write_jpegs(folder, rows, FILE_SIDE[side])
    data, spec, picture = read_jpegs(folder, side)
    encoded = EncodedRows(data.train, spec, row_bytes=float("inf"))
    started = time.perf_counter()
    order = np.random.default_rng(0).permutation(len(encoded))
    for _ in encoded.batches(order, batch_rows):
        pass
    decoding = time.perf_counter() - started
    pixels = torch.from_numpy(encoded.whole["picture"])
    cells = training_rows(data, spec, ("group",)).cells

    def network() -> nn.Module:
        return resnet_18(width, side)

    ready = Case(
        f"{side} px, ready", spec, (pixels,), cells, lambda: TrainingRows.held((pixels,), cells), network, batch_rows,
        picture,
    )  # fmt: skip
    files = Case(
        f"{side} px, JPEG", spec, (pixels,), cells,
        lambda: training_rows(data, spec, ("group",), memory_mb=1 << 20), network, batch_rows, picture,
        decoding=decoding,
    )  # fmt: skip
    return [ready, files]


class Clock:
    """Seconds from a step on, with whatever a GPU has still to do."""

    def __init__(self, device: torch.device, begins: int) -> None:
        self._device, self._begins, self._started = device, begins, 0.0
        if begins == 0:
            self.step(0)

    def step(self, done: int) -> None:
        """So many steps are done."""
        if done == self._begins:
            self._wait()
            self._started = time.perf_counter()

    def stop(self) -> float:
        """Seconds."""
        self._wait()
        return time.perf_counter() - self._started

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)


def ours(case: Case, engine: Engine, begins: int) -> float:
    """Seconds of `train()`, checkpoints included."""
    classifier, recipe = case.classifier(), TrainingRecipe(case.config)
    with tempfile.TemporaryDirectory() as folder:
        clock = Clock(engine.device, begins)
        train(
            classifier,
            case.rows(),
            recipe,
            seed=0,
            checkpoint=Checkpoint(Path(folder) / "c", "x"),
            progress=Progress(lambda done, _total, _what: clock.step(done) if done else None),
            engine=engine,
        )
        return clock.stop()


def bare(case: Case, device: torch.device, begins: int) -> float:
    """Seconds of a loop over ready tensors."""
    classifier = case.classifier().to(device).train()
    plan = case.config.for_rows(len(case.cells.label))
    optimizer = open_optimizer(list(classifier.parameters()), plan, device)
    network: Any = torch.compile(classifier.network, dynamic=False) if case.compiled else classifier.network
    inputs, label = tuple(x.to(device) for x in case.inputs), case.cells.label.to(device)
    dtype = DTYPES.get(case.precision)
    clock, done = Clock(device, begins), 0
    for _ in range(EPOCHS):
        for index in torch.split(_order(case).to(device), case.batch_rows):
            features = classifier.preprocess(*(x[index] for x in inputs))
            with nullcontext() if dtype is None else torch.autocast(device.type, dtype):
                logits = network(features)
            optimizer.zero_grad(set_to_none=True)
            functional.cross_entropy(logits.float(), label[index]).backward()
            optimizer.step()
            done += 1
            clock.step(done)
    return clock.stop()


def _order(case: Case) -> Tensor:
    """As many rows as edgefair uses: a last batch of one row waits."""
    rows = len(case.cells.label)
    return torch.randperm(rows)[: rows - (rows % case.batch_rows == 1)]


def measured(case: Case, engine: Engine, rounds: int) -> Claim:
    """Print one line; the ratio that has a goal."""
    device = engine.device
    steps = -(-len(_order(case)) // case.batch_rows)
    begins = (EPOCHS - 1) * steps if case.compiled else 0
    if case.compiled:
        torch._dynamo.reset()  # networks of earlier rows count against what it compiles
    rounds = 1 if case.compiled else rounds + 1
    pairs = [(bare(case, device, begins), ours(case, engine, begins)) for _ in range(rounds)]
    pairs = pairs if case.compiled else pairs[1:]
    timed = (1 if case.compiled else EPOCHS) * len(case.cells.label)
    theirs, mine = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    line = f"{case.name:28} bare {timed / theirs:10,.0f} rows/s   edgefair {timed / mine:10,.0f}   ratio {ratio:.3f}"
    if case.decoding is not None:
        first = theirs / EPOCHS
        reached = max(first, case.decoding) if device.type == "cuda" else first + case.decoding
        attainable = reached + theirs - first
        decoded = len(case.cells.label) / case.decoding
        ratio = attainable / mine
        line += f"   decoding alone {decoded:,.0f} rows/s, attainable {timed / attainable:,.0f}, of it {ratio:.3f}"
    print(line, flush=True)
    return Claim(
        f"{case.name}, share of {'the bare loop' if case.decoding is None else 'what is attainable'}", ratio, GOAL
    )


def layout_difference(case: Case, device: torch.device) -> float:
    """|g' - g| / |g| over all parameters: gradients of one batch with pictures in channels-last memory, in bf16."""
    found = []
    for memory in (torch.contiguous_format, torch.channels_last):
        classifier = case.classifier().to(device).train()
        features = classifier.preprocess(case.inputs[0][: case.batch_rows].to(device)).contiguous(memory_format=memory)
        with torch.autocast(device.type, torch.bfloat16):
            logits = classifier.network(features)
        loss = functional.cross_entropy(logits.float(), case.cells.label[: case.batch_rows].to(device))
        gradients = torch.autograd.grad(loss, list(classifier.parameters()))
        found.append(torch.cat([item.flatten() for item in gradients]).double())
    return float((found[1] - found[0]).norm() / found[0].norm())


def main() -> None:
    """Print one line per kind of rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rows and rounds")
    parser.add_argument("--rounds", type=int, default=None)
    parser.add_argument("--only", default="", metavar="PART_OF_A_NAME", help="kinds of rows whose name holds this")
    parser.add_argument("--compile", action="store_true", help="on a GPU: compiled too, which takes minutes")
    parser.add_argument("--cpu", action="store_true", help="leave a GPU alone")
    arguments = parser.parse_args()
    rounds = arguments.rounds or (2 if arguments.quick else 5)
    engine = Engine()
    if arguments.cpu:
        engine.device = torch.device("cpu")
    device = engine.device
    gpu = device.type == "cuda"
    print_machine("torch", "pillow", "numpy")
    print(f"device: {torch.cuda.get_device_name(device) if gpu else 'cpu'}, {makers()} threads decode, {rounds} rounds")
    torch.manual_seed(0)
    few = 1 if arguments.quick else 4
    width = 64 if gpu else 8
    with tempfile.TemporaryDirectory() as folder:
        cases = [
            table_case((400_000 if gpu else 100_000) * few),
            text_case((4096 if gpu else 128) * few, 128 if gpu else 64),
        ]
        for side, rows, batch_rows in (
            (64, (8192 if gpu else 192) * few, 256 if gpu else 64),
            (224, (2048 if gpu else 48) * few, 128 if gpu else 16),
        ):
            cases += picture_cases(Path(folder) / str(side), rows=rows, side=side, width=width, batch_rows=batch_rows)
        claims = [measured(case, engine, rounds) for case in cases if arguments.only in case.name]
        if gpu:
            small, large = cases[2], cases[4]
            extra = [replace(case, name=f"{case.name}, bf16", precision="bf16") for case in (small, large)]
            if arguments.compile:
                extra.append(replace(small, name=f"{small.name}, bf16, compiled", precision="bf16", compiled=True))
            claims += [measured(case, engine, rounds) for case in extra if arguments.only in case.name]
            print(f"gradients in bf16, channels-last against contiguous, 64 px: {layout_difference(small, device):.1e}")
    finish_claims(claims)


if __name__ == "__main__":
    main()
