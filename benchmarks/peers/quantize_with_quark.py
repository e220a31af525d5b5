"""AMD Quark's configuration for CPUs (U8S8, percentiles): FP32 ROWS.npz OUT KIND [adaround]."""

import sys

import numpy as np
from onnxruntime.quantization import CalibrationDataReader
from quark.onnx import ModelQuantizer
from quark.onnx.quantization.config import Config, get_default_config


class Rows(CalibrationDataReader):
    """One row at a time, again and again."""

    def __init__(self, path: str) -> None:
        with np.load(path) as arrays:
            self.inputs = dict(arrays)
        self.rewind()

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    def get_next(self) -> dict | None:
        row = next(self.rest, None)
        return None if row is None else {name: x[row : row + 1] for name, x in self.inputs.items()}

    def rewind(self) -> None:
        """Begin anew."""
        self.rest = iter(range(len(self)))

    reset_iter = rewind


def main() -> None:
    fp32, rows, out, _, *rounding = sys.argv[1:]
    config = get_default_config("U8S8_AAWS_ADAROUND" if rounding else "U8S8_AAWS")
    ModelQuantizer(Config(global_quant_config=config)).quantize_model(fp32, out, Rows(rows))


if __name__ == "__main__":
    main()
