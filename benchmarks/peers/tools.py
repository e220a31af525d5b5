"""Who compresses: edgefair in this process, the others by scripts, some of them in an environment of their own."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from peers.cases import Case

from edgefair.compress.quantization.calibrate import calibrate
from edgefair.compress.quantization.dynamic import quantize_dynamic
from edgefair.compress.quantization.placement import small_layers
from edgefair.compress.quantization.prepare import prepare_graph
from edgefair.compress.quantization.recipe import open_recipe
from edgefair.compress.quantization.static import Precision, quantize_static
from edgefair.probe.device import fingerprint, saturates_int8

SCRIPTS = Path(__file__).parent


class UnavailableError(Exception):
    """A peer that cannot be installed or fails on a network, with its last words."""


@dataclass(frozen=True)
class Peer:
    """A toolkit that is compared with.

    Attributes:
        script: takes the FP32 file, calibration rows, the file to write and the kind of network.
        packages: what its environment holds; none: this environment. The first one is the toolkit.
    """

    name: str
    script: str
    packages: tuple[str, ...] = ()

    @property
    def version(self) -> str:
        return self.packages[0] if self.packages else f"onnxruntime=={importlib.metadata.version('onnxruntime')}"

    def python(self, work: Path) -> Path:
        """The interpreter of its environment, which is made where it is not there.

        Raises:
            UnavailableError: pip fails.
        """
        if not self.packages:
            return Path(sys.executable)
        folder = work / f"venv-{self.name}"
        wanted, ready = "\n".join(self.packages), folder / "installed.txt"
        if not ready.exists() or ready.read_text() != wanted:
            _run([sys.executable, "-m", "venv", "--clear", str(folder)])
            _run([str(folder / "bin" / "pip"), "install", "--quiet", *self.packages])
            ready.write_text(wanted)
        return folder / "bin" / "python"

    def quantize(self, case: Case, python: Path) -> Path:
        """The INT8 file, made where it is not there.

        Raises:
            UnavailableError: the toolkit fails.
        """
        to = case.folder / f"{self.version.replace('==', '-')}.onnx"
        if not to.exists():
            part = to.with_suffix(".part")
            _run([str(python), str(SCRIPTS / self.script), *map(str, (case.fp32, case.calibration, part)), case.kind])
            part.rename(to)
        return to


# olive-ai 0.13 imports requests without asking for it; onnxruntime's shape inference needs sympy in nncf's environment.
# The torch of this environment keeps Olive's from being one for a GPU.
PEERS = (
    Peer("onnxruntime", "quantize_with_onnxruntime.py"),
    Peer("nncf", "quantize_with_nncf.py", ("nncf==3.4.0", "onnx==1.23.2", "onnxruntime==1.32.0", "sympy")),
    Peer(
        "olive",
        "quantize_with_olive.py",
        ("olive-ai==0.13.0", "onnxruntime==1.32.0", "requests", f"torch=={importlib.metadata.version('torch')}"),
    ),
)


def quantize_ours(case: Case) -> Path:
    """As `edgefair export --int8`: dynamic for texts, else static by the shipped recipe; made anew every time."""
    model, to = onnx.load(case.fp32), case.folder / "edgefair.onnx"
    reduce_range = saturates_int8(fingerprint())
    if case.kind == "text":
        quantized = quantize_dynamic(model, reduce_range=reduce_range)
    else:
        prepared, recipe = prepare_graph(model), open_recipe("int8-balanced")
        with np.load(case.calibration) as arrays:
            ranges = calibrate(prepared, [dict(arrays)], method=recipe.method)
        precision = Precision(float_nodes=small_layers(prepared), reduced_nodes=None if reduce_range else frozenset())
        quantized = quantize_static(prepared, ranges, recipe, precision)
    onnx.save_model(quantized, to)
    return to


def _run(command: Sequence[str]) -> None:
    quiet = {"OMP_NUM_THREADS": "1", "OLIVE_DISABLE_TELEMETRY": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **quiet}, check=False)
    if done.returncode:
        lines = [line for line in (done.stderr or done.stdout).strip().splitlines() if line.strip()]
        raise UnavailableError(lines[-1] if lines else f"exit code {done.returncode}")
