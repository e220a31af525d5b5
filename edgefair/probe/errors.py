"""What the device tells the host when it cannot do what it was asked for."""

from __future__ import annotations


class ProbeError(Exception):
    """Something the host must know, with a kind that it can act on.

    kind: `not_found`, `no_runtime`, `invalid_graph`, `bad_input`, `bad_output`, `run_failed`, `out_of_memory`,
    `bad_request`.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def error_kind(error: Exception, otherwise: str) -> str:
    """The kind of an error of the runtime, whose exceptions tell apart less than their messages."""
    if isinstance(error, MemoryError) or "allocate memory" in str(error) or "bad_alloc" in str(error):
        return "out_of_memory"
    if otherwise == "run_failed" and type(error).__name__ in ("InvalidArgument", "ValueError"):
        return "bad_input"
    return otherwise


def first_line(error: Exception) -> str:
    """What an error of the runtime says first; its type where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
