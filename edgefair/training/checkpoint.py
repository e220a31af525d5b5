"""Resumable training state as one safetensors file, written atomically."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from edgefair.debias.base import load_optimizer, optimizer_state, under
from edgefair.errors import ModelError
from edgefair.files import write_atomic
from edgefair.probe.regular import open_regular
from edgefair.training.selection import Standing


class Learning(Protocol):
    """What learns something beside the network: debias methods, and a teacher."""

    def state(self) -> dict[str, Tensor]:
        """Tensors to store."""
        ...

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take back what `state` returned."""
        ...


@dataclass
class Progressed:
    """How far a run is.

    Attributes:
        losses: mean loss of every epoch done.
        standings: the model on validation rows after every epoch, where it was judged.
        best: state dict of the epoch to keep; None before the first.
        kept: number of that epoch, from 1.
    """

    losses: list[float] = field(default_factory=list)
    standings: list[Standing] = field(default_factory=list)
    best: dict[str, Tensor] | None = None
    kept: int = 0

    def judge(self, model: nn.Module, found: Standing | None) -> None:
        """Take the epoch just done for the one to keep if it is the best so far, or where nothing was judged."""
        better = found is None or all(found.rank > other.rank for other in self.standings)
        if found is not None:
            self.standings.append(found)
        if better:
            self.best = {name: value.detach().clone() for name, value in model.state_dict().items()}
            self.kept = len(self.losses)


class Checkpoint:
    """The state after the last completed epoch of one run. A context manager: at its end all that was saved is written.

    Args:
        path: the file.
        settings: digest of everything that decides the result; a checkpoint of other settings is not resumed from.
    """

    def __init__(self, path: Path, settings: str) -> None:
        self.path = path
        self.settings = settings
        self._writing: tuple[ThreadPoolExecutor, Future[None]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What ended the training is told, and not a disk that failed beside it.
        with contextlib.nullcontext() if error is None else contextlib.suppress(OSError):
            self.settle()

    def save(
        self, progressed: Progressed, model: nn.Module, optimizer: torch.optim.Optimizer, methods: Sequence[Learning]
    ) -> None:
        """Write the state after the epochs that are done, while the next one is computed.

        Raises:
            OSError: the one before could not be written.
        """
        tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
        if progressed.kept != len(progressed.losses):
            tensors |= {f"best.{name}": value for name, value in (progressed.best or {}).items()}
        tensors |= optimizer_state(optimizer)
        for position, method in enumerate(methods):
            tensors |= {f"method.{position}.{name}": value for name, value in method.state().items()}
        standings = [asdict(item) for item in progressed.standings]
        metadata = {
            "progress": json.dumps({"losses": progressed.losses, "standings": standings, "kept": progressed.kept}),
            "settings": self.settings,
        }
        copies = {name: value.detach().to("cpu", copy=True).contiguous() for name, value in tensors.items()}
        self.settle()
        pool = ThreadPoolExecutor(1)
        self._writing = pool, pool.submit(lambda: write_atomic(self.path, save(copies, metadata)))

    def settle(self) -> None:
        """Wait until what was saved is written.

        Raises:
            OSError: it could not be.
        """
        if self._writing is not None:
            (pool, written), self._writing = self._writing, None
            pool.shutdown()
            written.result()

    def restore(self, model: nn.Module, optimizer: torch.optim.Optimizer, methods: Sequence[Learning]) -> Progressed:
        """Load the state in place; how far the run is, nothing done where there is nothing to resume."""
        metadata = read_metadata(self.path)
        if metadata.get("settings") != self.settings:
            return Progressed()
        tensors = load_file(self.path)
        model.load_state_dict(under(tensors, "model."))
        load_optimizer(optimizer, tensors)
        for position, method in enumerate(methods):
            method.load_state(under(tensors, f"method.{position}."))
        content = json.loads(metadata["progress"])
        standings = [Standing(**item) for item in content["standings"]]
        best = under(tensors, "best.") or under(tensors, "model.")
        return Progressed(content["losses"], standings, best, content["kept"])


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file; empty where the file is absent or unreadable."""
    try:
        with safe_open(path, framework="pt") as stream:
            return dict(stream.metadata() or {})
    except (OSError, SafetensorError):
        return {}


def save_weights(model: nn.Module, path: Path) -> None:
    """Write the state dict as safetensors."""
    write_atomic(path, save({name: value.contiguous() for name, value in model.state_dict().items()}))


def load_weights(path: Path, model: nn.Module) -> None:
    """Read a state dict from `.safetensors`, or from a `.pt` with weights_only=True.

    Raises:
        ModelError: unreadable, needs unpickling, or does not fit the network.
    """
    try:
        open_regular(path).close()
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise ModelError(f"no weights at '{path}'", expected="a .safetensors file, or a .pt state dict") from error
    except Exception as error:
        raise ModelError(
            f"'{path}' cannot be read as tensors: {type(error).__name__}",
            expected="a .safetensors file, or a .pt that holds only a state dict; pickled objects are never loaded",
            fix="save it with safetensors.torch.save_file(model.state_dict(), 'model.safetensors')",
        ) from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ModelError(
            f"'{path}' holds a {type(state).__name__}, not a state dict of tensors",
            fix="save it with safetensors.torch.save_file(model.state_dict(), 'model.safetensors')",
        )
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise ModelError(f"the weights in '{path}' do not fit the network: {_shorten(str(error))}") from error


def _shorten(text: str, limit: int = 400) -> str:
    return json.dumps(" ".join(text.split()))[1 : limit + 1]
