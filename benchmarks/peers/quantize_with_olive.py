"""Olive's passes OnnxStaticQuantization and OnnxDynamicQuantization with their defaults: FP32 ROWS.npz OUT KIND."""

import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from olive.data.registry import Registry
from olive.model import ONNXModelHandler
from olive.passes.olive_pass import create_pass_from_dict
from olive.passes.onnx.quantization import OnnxDynamicQuantization, OnnxStaticQuantization


@Registry.register_dataset()
def calibration_rows(path: str, **_: object) -> list:
    """One dictionary of graph inputs per row, and a label that nobody reads."""
    with np.load(path) as arrays:
        inputs = dict(arrays)
    count = len(next(iter(inputs.values())))
    return [({name: x[row] for name, x in inputs.items()}, 0) for row in range(count)]


def main() -> None:
    fp32, rows, out, kind = sys.argv[1:]
    data = {"name": "rows", "load_dataset_config": {"type": "calibration_rows", "params": {"path": rows}}}
    if kind == "text":
        step = create_pass_from_dict(OnnxDynamicQuantization, {}, disable_search=True)
    else:
        step = create_pass_from_dict(OnnxStaticQuantization, {"data_config": data}, disable_search=True)
    with tempfile.TemporaryDirectory() as folder:
        made = step.run(ONNXModelHandler(fp32), str(Path(folder) / "int8.onnx"))
        onnx.save(onnx.load(made.model_path), out)


if __name__ == "__main__":
    main()
