"""NVIDIA ModelOpt's INT8 with its defaults, but that nothing becomes FP16: FP32 ROWS.npz OUT KIND."""

import sys

import numpy as np
from modelopt.onnx.quantization import quantize


def main() -> None:
    fp32, rows, out, _ = sys.argv[1:]
    with np.load(rows) as arrays:
        inputs = dict(arrays)
    quantize(
        fp32,
        quantize_mode="int8",
        calibration_data=inputs,
        calibration_eps=["cpu"],
        high_precision_dtype="fp32",
        output_path=out,
    )


if __name__ == "__main__":
    main()
