"""NNCF's post-training quantization with its default preset: FP32 ROWS.npz OUT KIND.

It gets the graph with batch normalizations fused, as onnxruntime's quantizer does: without that its files are slower.
"""

import sys
import tempfile
from pathlib import Path

import nncf
import numpy as np
import onnx
from onnxruntime.quantization.shape_inference import quant_pre_process


def main() -> None:
    fp32, rows, out, kind = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        prepared = str(Path(folder) / "prepared.onnx")
        quant_pre_process(fp32, prepared)
        model = onnx.load(prepared)
    with np.load(rows) as arrays:
        inputs = dict(arrays)
    count = len(next(iter(inputs.values())))
    items = [{name: x[row : row + 1] for name, x in inputs.items()} for row in range(count)]
    transformer = nncf.ModelType.TRANSFORMER if kind in {"transformer", "text"} else None
    onnx.save(nncf.quantize(model, nncf.Dataset(items), model_type=transformer, subset_size=count), out)


if __name__ == "__main__":
    main()
