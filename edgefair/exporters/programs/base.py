"""What every writer of programs shares: the module that is lowered, an example of its rows, and the spec behind it."""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from numpy.typing import NDArray

from edgefair.errors import EdgefairError, ModelError
from edgefair.probe.formats.appended import with_appended
from edgefair.probe.onnx_files.spec import SPEC_METADATA_KEY, InputSpec, ModelSpec
from edgefair.training.classifier import Classifier, Deployable

# From a module in evaluation mode and its inputs for one row: the program's bytes.
Lower = Callable[[torch.nn.Module, tuple[torch.Tensor, ...]], bytes]
# From a program's bytes and the inputs of rows, one at a time in the spec's order: the program in 8 bits.
Quantize = Callable[[bytes, Iterator[tuple[NDArray[Any], ...]]], bytes]


@dataclass(frozen=True)
class ProgramWriter:
    """One runtime's way from a network to its file.

    Attributes:
        runtime: in words.
        suffix: of its files.
        packages: what it takes, as `pip install` is told.
        inputs: from the place of an input to the name that the runtime gives it.
        outputs: the names of decision and score.
        lower: makes the file; raises ImportError where the packages are missing.
        quantize: makes it one of 8-bit weights and activations; None where nothing here does.
    """

    runtime: str
    suffix: str
    packages: str
    inputs: Callable[[int], str]
    outputs: tuple[str, str]
    lower: Lower
    quantize: Quantize | None = None

    def program_of(
        self,
        classifier: Classifier,
        spec: ModelSpec,
        array_shapes: dict[str, tuple[int, ...]],
        rows: Iterable[Mapping[str, NDArray[Any]]] | None = None,
    ) -> bytes:
        """Preprocessing, network and decision as a program for one row at a time, as devices are asked, with its spec.

        Args:
            rows: batches of inputs by name to calibrate 8 bits on; None: the program stays in float.

        Raises:
            ImportError: a package is missing.
            DataError: a calibration row that cannot be made.
            ModelError: the network cannot be exported or lowered.
        """
        deployable = Deployable(classifier, spec).eval()
        example = tuple(_one_row(item, array_shapes) for item in spec.inputs)
        try:
            with _quietly():
                content = self.lower(deployable, example)
                if rows is not None and self.quantize is not None:
                    content = self.quantize(content, _one_by_one(rows, spec))
        except (ImportError, EdgefairError):  # rows that cannot be made are no fault of the network
            raise
        except Exception as error:
            raise ModelError(
                f"the network cannot be exported to {self.runtime}: {(str(error).splitlines() or [repr(error)])[0]}",
                expected=f"operators that {self.runtime} has, and no data-dependent control flow",
            ) from error
        return with_appended(content, {SPEC_METADATA_KEY: self._named(spec).to_json()})

    def _named(self, spec: ModelSpec) -> ModelSpec:
        """The spec with the names of the program's inputs and outputs."""
        decision, score = self.outputs
        return replace(
            spec,
            inputs=tuple(replace(item, name=self.inputs(place)) for place, item in enumerate(spec.inputs)),
            reading=replace(spec.reading, output=decision, score=score),
        )


def _one_by_one(rows: Iterable[Mapping[str, NDArray[Any]]], spec: ModelSpec) -> Iterator[tuple[NDArray[Any], ...]]:
    """The inputs of every row, each [1, ...], in the spec's order."""
    for batch in rows:
        arrays = [batch[item.name] for item in spec.inputs]
        for row in range(len(arrays[0])):
            yield tuple(array[row : row + 1] for array in arrays)


def _one_row(item: InputSpec, array_shapes: dict[str, tuple[int, ...]]) -> torch.Tensor:
    shape = array_shapes[item.array] if item.array is not None else item.row_shape
    return torch.zeros((1, *(shape or ())), dtype=getattr(torch, item.dtype))


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Without the warnings, logs and progress bars of the libraries that lower a graph."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        nothing = stack.enter_context(open(os.devnull, "w"))  # noqa: PTH123
        stack.enter_context(contextlib.redirect_stdout(nothing))
        stack.enter_context(contextlib.redirect_stderr(nothing))
        warnings.simplefilter("ignore")
        before = logging.root.manager.disable
        logging.disable(logging.ERROR)
        try:
            yield
        finally:
            logging.disable(before)
