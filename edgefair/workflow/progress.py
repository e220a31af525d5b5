"""How a long piece of work tells what it is doing."""

from __future__ import annotations

from collections.abc import Callable

# (done, total, what): called often, must be cheap; total is 0 where it is not known. (0, 0, what) begins a stage, and
# everything else is a step of it: a log has a line for every stage and none for a step.
Progress = Callable[[int, int, str], None]


class Silent:
    """Tells nobody."""

    def __call__(self, _done: int, _total: int, _what: str) -> None:
        """Tell nobody."""

    def __repr__(self) -> str:
        return "silent"


silent = Silent()
