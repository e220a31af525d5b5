"""NNCF's quantize_with_accuracy_control, driven by the growth of the equalized-odds gap on validation rows.

FP32 CALIBRATION.npz VALIDATION.npz OUT LARGEST_GROWTH: per-tensor weights; prints a JSON line: evaluations of all
validation rows, rows seen in all, seconds.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import nncf
import numpy as np
import onnx
import onnxruntime
from nncf.quantization.advanced_parameters import QuantizationParameters
from onnxruntime.quantization.shape_inference import quant_pre_process

PROVIDERS = ["CPUExecutionProvider"]
ONE_THREAD = onnxruntime.SessionOptions()
ONE_THREAD.intra_op_num_threads = 1


class Growth:
    """The validation function: one less the growth of the equalized-odds gap, paired as edgefair's gate has it.

    The gap alone would not do: a model whose gap has turned around, or that decides the same for everybody, has a small
    one. Beside it P(label) of every row, by which NNCF chooses rows to rank layers with; a cell without any of them
    counts as one with rate 0. (NNCF divides by the first model's value, so it must not be 0.)
    """

    def __init__(self, label, group):
        self.label, self.group = label, group
        self.before = None
        self.evaluations = self.rows = 0

    def __call__(self, model, items):
        session = onnxruntime.InferenceSession(model.SerializeToString(), ONE_THREAD, providers=PROVIDERS)
        rows, decision, right = [], [], []
        for row, inputs in items:
            decided, score = session.run(["decision", "score"], inputs)
            rows.append(row)
            decision.append(int(decided[0]))
            positive = float(np.ravel(score)[-1])
            right.append(positive if self.label[row] == 1 else 1 - positive)
        decision = np.array(decision)
        self.rows += len(rows)
        if len(rows) == len(self.label):
            self.evaluations += 1
            if self.before is None:
                self.before = decision
        if self.before is None:
            return 1.0, right
        growth = np.abs(self.differences(rows, decision) - self.differences(rows, self.before[rows])).max()
        return 1.0 - float(growth), right

    def differences(self, rows, decision):
        """Of the two groups' rates of decision 1, for every label."""
        label, group = self.label[rows], self.group[rows]

        def rate(of_group, of_label):
            there = (group == of_group) & (label == of_label)
            return decision[there].mean() if there.any() else 0.0

        return np.array([rate(0, value) - rate(1, value) for value in (0, 1)])


def main() -> None:
    fp32, calibration, validation, out, limit = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        prepared = str(Path(folder) / "prepared.onnx")
        quant_pre_process(fp32, prepared)
        model = onnx.load(prepared)
    rows, held = open_rows(calibration), open_rows(validation)
    growth = Growth(held.pop("label"), held.pop("group"))
    started = time.perf_counter()
    quantized = nncf.quantize_with_accuracy_control(
        model,
        nncf.Dataset(one_by_one(rows)),
        nncf.Dataset(list(enumerate(one_by_one(held))), lambda item: item[1]),
        growth,
        max_drop=float(limit),
        drop_type=nncf.DropType.ABSOLUTE,
        subset_size=len(next(iter(rows.values()))),
        advanced_quantization_parameters=nncf.AdvancedQuantizationParameters(
            weights_quantization_params=QuantizationParameters(per_channel=False)
        ),
    )
    onnx.save(quantized, out)
    spent = time.perf_counter() - started
    print(json.dumps({"evaluations": growth.evaluations, "rows": growth.rows, "seconds": spent}))


def open_rows(path):
    with np.load(path) as arrays:
        return dict(arrays)


def one_by_one(rows):
    count = len(next(iter(rows.values())))
    return [
        {name: x[row : row + 1] for name, x in rows.items() if name not in {"label", "group"}} for row in range(count)
    ]


if __name__ == "__main__":
    main()
