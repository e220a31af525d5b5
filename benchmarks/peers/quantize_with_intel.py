"""Intel Neural Compressor's post-training quantization with its defaults: FP32 ROWS.npz OUT KIND.

It gets the graph without the shapes of inner values: it transposes weights, and then fails on the shapes of before.
"""

import sys
from collections.abc import Iterator

import numpy as np
import onnx
from neural_compressor import PostTrainingQuantConfig, quantization


class Rows:
    """One row at a time, with a label that nobody reads."""

    batch_size = 1

    def __init__(self, path: str) -> None:
        with np.load(path) as arrays:
            self.inputs = dict(arrays)

    def __iter__(self) -> Iterator[tuple]:
        for row in range(len(next(iter(self.inputs.values())))):
            item = {name: x[row : row + 1] for name, x in self.inputs.items()}
            yield (item if len(item) > 1 else next(iter(item.values()))), 0


def main() -> None:
    fp32, rows, out, kind = sys.argv[1:]
    data = Rows(rows)
    count = len(next(iter(data.inputs.values())))
    config = PostTrainingQuantConfig(
        approach="dynamic" if kind == "text" else "static", calibration_sampling_size=[count]
    )
    model = onnx.load(fp32)
    del model.graph.value_info[:]
    made = quantization.fit(model, config, calib_dataloader=data)
    if made is None:
        sys.exit("no model was made")
    made.save(out)


if __name__ == "__main__":
    main()
