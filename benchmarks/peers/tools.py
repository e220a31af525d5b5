"""Who compresses: edgefair in this process, the others by scripts, some of them in an environment of their own."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

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


class Task(Protocol):
    """What is to be compressed: a file, calibration rows beside it, and the kind of network that it is."""

    @property
    def folder(self) -> Path: ...

    @property
    def fp32(self) -> Path: ...

    @property
    def calibration(self) -> Path: ...

    @property
    def kind(self) -> str: ...


@dataclass(frozen=True)
class Peer:
    """A toolkit that is compared with.

    Attributes:
        script: takes the FP32 file, calibration rows, the file to write and the kind of network.
        packages: what its environment holds; none: this environment. The first one is the toolkit.
        options: more words for the script.
        alone: whether its environment holds nothing of this one. Else it sees this one's packages behind its own,
            so that torch is not installed again, and not for a GPU.
    """

    name: str
    script: str
    packages: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    alone: bool = False

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
            if not self.alone:
                packages = next(folder.glob("lib/python*/site-packages"))
                (packages / "behind.pth").write_text(sysconfig.get_path("purelib"))
            here = [] if self.alone else ["--no-deps"]
            _run([str(folder / "bin" / "pip"), "install", "--quiet", *here, *self.packages])
            ready.write_text(wanted)
        return folder / "bin" / "python"

    def quantize(self, case: Task, python: Path) -> Path:
        """The INT8 file, made where it is not there.

        Raises:
            UnavailableError: the toolkit fails.
        """
        to = case.folder / f"{'-'.join((self.version.replace('==', '-'), *self.options))}.onnx"
        if not to.exists():
            part = to.with_suffix(".part.onnx")
            given = map(str, (case.fp32, case.calibration, part))
            # Some leave logs where they are run.
            with tempfile.TemporaryDirectory() as folder:
                command = [str(python), str(SCRIPTS / self.script), *given, case.kind, *self.options]
                _run(command, Path(folder))
            part.rename(to)
        return to


# What each needs to be imported and is not in this environment.
PEERS = (
    Peer("onnxruntime", "quantize_with_onnxruntime.py"),
    Peer(
        "nncf",
        "quantize_with_nncf.py",
        (
            "nncf==3.4.0",
            *("about-time", "alive-progress", "autograd", "cma", "dill", "grapheme", "jstyleson", "moocore", "natsort"),
            *("ninja", "openvino-telemetry", "pydot", "pymoo", "tabulate"),
        ),
    ),
    Peer(
        "olive",
        "quantize_with_olive.py",
        (
            "olive-ai==0.13.0",
            *("alembic", "colorlog", "lightning-utilities", "opentelemetry-api", "opentelemetry-sdk"),
            *("opentelemetry-semantic-conventions", "optuna", "requests", "torchmetrics"),
        ),
    ),
)
# onnxruntime's quantizer with a scale for each channel, by how it calibrates.
BY_METHOD = tuple(
    Peer(f"onnxruntime {method}", "quantize_with_onnxruntime.py", options=(method,))
    for method in ("MinMax", "Percentile", "Entropy")
)
# Intel's toolkit quantizes ONNX up to 2.6, and imports six without asking for it.
MORE_PEERS = (
    Peer(
        "quark",
        "quantize_with_quark.py",
        ("amd-quark==0.13", "evaluate", "ninja", "onnx==1.22.0", "onnxslim", "plotly", "sentencepiece", "zstandard"),
    ),
    Peer(
        "intel",
        "quantize_with_intel.py",
        (
            *("neural-compressor==2.6", "onnx==1.16.2", "onnxruntime==1.19.2", "onnxruntime-extensions"),
            *("setuptools<80", "six"),
        ),
        alone=True,
    ),
    Peer(
        "modelopt",
        "quantize_with_modelopt.py",
        (
            "nvidia-modelopt==0.47.0",
            *(
                "antlr4-python3-runtime==4.9.3",
                "cppimport",
                "lief",
                "mako",
                "nvidia-ml-py",
                "omegaconf",
                "onnx==1.21.0",
            ),
            *("onnx-graphsurgeon", "onnxconverter-common==1.16.0", "onnxslim", "polygraphy", "pulp==3.3", "pybind11"),
            *("regex", "onnx==1.21.0"),
        ),
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


def _run(command: Sequence[str], folder: Path | None = None) -> None:
    quiet = {"OMP_NUM_THREADS": "1", "OLIVE_DISABLE_TELEMETRY": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **quiet}, cwd=folder, check=False)
    if done.returncode:
        lines = [line for line in (done.stderr or done.stdout).strip().splitlines() if line.strip()]
        raise UnavailableError(lines[-1] if lines else f"exit code {done.returncode}")
