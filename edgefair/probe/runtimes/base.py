"""What a runtime must be able to do on the device."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Protocol, Sequence, Tuple, runtime_checkable

import numpy as np

from edgefair.probe.formats.base import FileFormat


class Session(Protocol):
    """A model that is ready to run, with the interface of onnxruntime's session."""

    def get_inputs(self) -> List[Any]:
        """`name`, `type` (in onnxruntime's words) and `shape` of every input."""
        ...

    def get_outputs(self) -> List[Any]:
        """As `get_inputs`, of every output."""
        ...

    def get_modelmeta(self) -> Any:
        """An object whose `custom_metadata_map` holds the model's own metadata."""
        ...

    def get_providers(self) -> List[str]:
        """What really runs it."""
        ...

    def run(self, names: Sequence[str], inputs: Mapping[str, np.ndarray]) -> List[np.ndarray]:
        """The named outputs of a batch. Queries are timed around this call alone."""
        ...


# One query: a session, the outputs that it is asked for, and the row of the pool that it is asked about.
Query = Tuple[Any, List[str], int]


@runtime_checkable
class RemoteSession(Protocol):
    """A session whose model runs in a process of its own, as a `Session`.

    Going there takes longer than many a query: rows are run one by one, and queries are timed, where the model is. The
    cores, the clock and the energy of this process are not the model's.
    """

    def run_alone(self, names: Sequence[str], inputs: Mapping[str, np.ndarray]) -> List[np.ndarray]:
        """The named outputs of every row, each run as a batch of its own."""
        ...

    def query_times(self, queries: Sequence[Query], pool: Mapping[str, np.ndarray]) -> List[int]:
        """Nanoseconds of each of the queries, one after the other, of sessions of this process."""
        ...


class Runtime(Protocol):
    """A runtime on the device.

    format: of the files that it runs.
    levels: of graph optimization, as profiles name them.
    opens_bundles: whether a device can load a bundle's model with it, as it runs a file as it is, in this process, and
    says what it found to run it. Others build an engine first, or run elsewhere.
    """

    format: FileFormat
    levels: Sequence[str]
    opens_bundles: bool

    def facts(self) -> Dict[str, Any]:
        """What a fingerprint says of it: its version, under its name; empty where it is absent. Starts nothing."""
        ...

    def open(self, content: bytes, options: Mapping[str, Any]) -> Tuple[Session, Dict[str, Any]]:
        """A session of a model's bytes and of nothing else, and what was built for it, if anything.

        What was built is said by its digest, its size, and what it is bound to. options: see
        `probe.runtimes.models.open_model`.

        Raises:
            ProbeError: the runtime is not there or does not know the options, or it cannot load the model.
        """
        ...
