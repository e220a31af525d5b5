"""How a long piece of work tells what it is doing."""

from __future__ import annotations

from collections.abc import Callable

# (done, total, what): called often, must be cheap; total is 0 where it is not known. (0, 0, what) begins a stage.
Listener = Callable[[int, int, str], None]


class Progress:
    """Stages and epochs, of which a log has a line each, and their steps, which move a bar.

    Args:
        listener: is told; whatever it raises ends the work.
    """

    def __init__(self, listener: Listener | None = None) -> None:
        self._listener = listener

    def stage(self, what: str) -> None:
        """A stage begins, or an epoch of it has ended: a log keeps it."""
        self.step(0, 0, what)

    def step(self, done: int, total: int, what: str) -> None:
        """So much of the total is done; total is 0 where it is not known."""
        if self._listener is not None:
            self._listener(done, total, what)

    def named(self, name: str) -> Progress:
        """Progress of one of several, which says whose it is."""
        return Progress(lambda done, total, what: self.step(done, total, f"{name}: {what}"))

    def __repr__(self) -> str:
        return "silent" if self._listener is None else "Progress(...)"


silent = Progress()
