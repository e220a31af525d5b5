"""Where the time of a command goes: stages within stages, measured only where somebody asked.

`with timed("calibrating"):`, or the same as a decorator, marks a stage. Outside of `recorded` it does nothing.
"""

from __future__ import annotations

import builtins
import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

IMPORTS = "imports"
OTHER = "other"


@dataclass(eq=False)
class Stage:
    """All passes through one stage, at one place of the tree.

    Attributes:
        seconds: wall time of all passes, what is inside of them included.
        passes: how many have ended.
        parts: stages inside of it, in the order of their first beginning. What ran side by side, or in other processes,
            is summed, and may be more than `seconds`.
    """

    name: str
    seconds: float = 0.0
    passes: int = 0
    parts: dict[str, Stage] = field(default_factory=dict)

    def part(self, name: str) -> Stage:
        """The stage of that name inside of this one, made where there is none yet."""
        return self.parts.setdefault(name, Stage(name))

    def end(self, seconds: float, passes: int = 1) -> None:
        """Passes have ended. Threads may end the same stage."""
        with _lock:
            self.seconds += seconds
            self.passes += passes

    def join(self, other: Stage) -> None:
        """Add what another process has measured of this stage's parts."""
        for name, found in other.parts.items():
            part = self.part(name)
            part.end(found.seconds, found.passes)
            part.join(found)

    @property
    def other(self) -> float:
        """Seconds that no part covers; 0 where parts ran side by side."""
        return max(0.0, self.seconds - sum(part.seconds for part in self.parts.values()))

    def to_json(self) -> dict[str, Any]:
        """As JSON; `parts` and `other_s` only where there are parts."""
        told: dict[str, Any] = {"stage": self.name, "seconds": self.seconds, "passes": self.passes}
        if self.parts:
            told |= {"parts": [part.to_json() for part in self.parts.values()], "other_s": self.other}
        return told


_inside: ContextVar[Stage | None] = ContextVar("_inside", default=None)
_lock = threading.Lock()


@contextlib.contextmanager
def timed(name: str) -> Iterator[None]:
    """Count the time that is spent here to a stage of the one that is under way."""
    outer = _inside.get()
    if outer is None:
        yield
        return
    stage = outer.part(name)
    token, started = _inside.set(stage), time.perf_counter()
    try:
        yield
    finally:
        stage.end(time.perf_counter() - started)
        _inside.reset(token)


@contextlib.contextmanager
def recorded(name: str, *, since: float | None = None) -> Iterator[Stage]:
    """Record the stages of this block, and the imports in them.

    Args:
        since: reading of `time.perf_counter` at which the time begins; default: now.
    """
    stage = Stage(name)
    started = time.perf_counter() if since is None else since
    token, imported = _inside.set(stage), builtins.__import__
    builtins.__import__ = _timed_import(imported)
    try:
        yield stage
    finally:
        builtins.__import__ = imported
        _inside.reset(token)
        stage.end(time.perf_counter() - started)


def is_recorded() -> bool:
    """Whether somebody asked, here."""
    return _inside.get() is not None


def join(stage: Stage | None) -> None:
    """Add what another process, or `recorded` in this one, has measured to the stage that is under way."""
    outer = _inside.get()
    if outer is not None and stage is not None:
        outer.join(stage)


def _timed_import(imported: Any) -> Any:
    """`__import__` that counts the outermost imports that load something."""

    def load(*args: Any, **named: Any) -> Any:
        outer = _inside.get()
        if outer is None or outer.name == IMPORTS:
            return imported(*args, **named)
        known, started = len(sys.modules), time.perf_counter()
        token = _inside.set(Stage(IMPORTS))
        try:
            return imported(*args, **named)
        finally:
            _inside.reset(token)
            if len(sys.modules) > known:
                outer.part(IMPORTS).end(time.perf_counter() - started)

    return load
