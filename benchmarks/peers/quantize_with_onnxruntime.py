"""onnxruntime's quantizer: FP32 ROWS.npz OUT KIND [METHOD].

With its defaults, or with a scale for each channel and the ranges of a method (MinMax, Percentile, Entropy).
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, quantize_dynamic, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process


class Rows(CalibrationDataReader):
    """One row at a time."""

    def __init__(self, path: str) -> None:
        with np.load(path) as arrays:
            inputs = dict(arrays)
        count = len(next(iter(inputs.values())))
        self.rows = iter([{name: x[row : row + 1] for name, x in inputs.items()} for row in range(count)])

    def get_next(self) -> dict | None:
        return next(self.rows, None)


def main() -> None:
    fp32, rows, out, kind, *method = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        prepared = str(Path(folder) / "prepared.onnx")
        quant_pre_process(fp32, prepared)
        if method:
            by = CalibrationMethod[method[0]]
            quantize_static(prepared, out, Rows(rows), per_channel=True, calibrate_method=by)
        elif kind == "text":
            quantize_dynamic(prepared, out)
        else:
            quantize_static(prepared, out, Rows(rows))


if __name__ == "__main__":
    main()
