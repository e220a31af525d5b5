"""The account of sealed audit sets: a file to which every verdict that is asked for is written before it is taken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgefair.errors import UsageError
from edgefair.files import write_atomic
from edgefair.locks import hold
from edgefair.probe.regular import read_regular
from edgefair.progress import Progress, silent
from edgefair.workflow.sealing.chain import START, ChainError, line_of, link, read_chain
from edgefair.workflow.sealing.rows import RowSet

# What a line is about: a verdict that was asked for, one that PASSed, a seal that was opened.
ASKED, PASSED, OPENED = "asked", "passed", "opened"
# Keys of a line that are read again, by its event; the first line of a set has its `rows`, too.
KEYS: Mapping[str, Mapping[str, type]] = {
    ASKED: {"audit": str},
    PASSED: {"audit": str, "created": str, "model": str, "question": str, "number": int},
    OPENED: {"audit": str, "created": str, "reason": str},
}
# Some 100,000 verdicts; what is larger is not an account.
MOST_BYTES = 64 << 20
WAITING = "waiting for the account, which another process has"


class Account:
    """The lines of an account, as they were when it was read.

    Attributes:
        shown_as: how a reader of a report knows the file.
    """

    def __init__(self, path: Path, shown_as: str) -> None:
        self.shown_as = shown_as
        self._path = path
        self._content = _content(path, shown_as)
        try:
            self._lines = list(read_chain(self._content))
            self._sets = {item["audit"]: RowSet.from_json(item) for item in self._lines if "rows" in item}
            if not all(map(self._is_known, self._lines)):
                raise TypeError
        except ChainError as error:
            raise _damaged(shown_as, str(error)) from error
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _damaged(shown_as, "it holds a line of another kind") from error

    def _is_known(self, line: Mapping[str, Any]) -> bool:
        kinds = KEYS[line["event"]]
        return line["audit"] in self._sets and all(isinstance(line[key], kind) for key, kind in kinds.items())

    @property
    def head(self) -> str:
        """The digest of the last line."""
        return str(self._lines[-1]["digest"]) if self._lines else START

    def holds(self, head: str) -> bool:
        """Whether a line has this digest."""
        return any(item["digest"] == head for item in self._lines)

    def asked(self, rows: RowSet) -> int:
        """How many verdicts were asked for on these rows, or on sets that hold some of them."""
        related = rows.related(self._sets)
        return sum(item["event"] == ASKED and item["audit"] in related for item in self._lines)

    def opened(self, rows: RowSet) -> dict[str, Any] | None:
        """The first line by which the seal of these rows, or of some of them, was opened: a PASS, or who opened it."""
        related = rows.related(self._sets)
        return next(
            (item for item in self._lines if item["event"] in {PASSED, OPENED} and item["audit"] in related), None
        )

    def passed(self, rows: RowSet, question: str) -> dict[str, Any] | None:
        """The line by which exactly this question about these rows was answered with PASS."""
        return next(
            (
                item
                for item in self._lines
                if item["event"] == PASSED and (item["audit"], item["question"]) == (rows.fingerprint, question)
            ),
            None,
        )

    @property
    def sealed(self) -> dict[str, RowSet]:
        """Fingerprint -> the sets of which verdicts were asked, and whose seal nobody opened."""
        asked = {item["audit"] for item in self._lines if item["event"] == ASKED}
        return {name: rows for name, rows in self._sets.items() if name in asked and self.opened(rows) is None}

    def has_passed(self, rows: RowSet) -> bool:
        """Whether some question about exactly these rows was answered with PASS."""
        return any(item["event"] == PASSED and item["audit"] == rows.fingerprint for item in self._lines)

    def add(self, event: str, rows: RowSet, **facts: Any) -> str:
        """Write a line; its digest. The caller has the account's lock (`locked_account`).

        Raises:
            UsageError: it cannot be written; the account is as it was.
        """
        known = {} if rows.fingerprint in self._sets else rows.to_json()
        line = link(self.head, {"event": event, "audit": rows.fingerprint, **known, **facts})
        content = self._content + line_of(line)
        try:
            write_atomic(self._path, content)
        except OSError as error:
            raise _unwritable(self.shown_as, error) from error
        self._content = content
        self._lines.append(line)
        self._sets.setdefault(rows.fingerprint, rows)
        return str(line["digest"])


@contextmanager
def locked_account(path: Path, shown_as: str, *, progress: Progress = silent) -> Iterator[Account]:
    """The account, which nobody else writes meanwhile.

    Raises:
        UsageError: no folder or file that can be locked and written, or an account that was edited or cut.
    """
    # A link stays one, and all that lead to the file have one lock.
    path = path.resolve()
    try:
        with hold(path.with_name(f".{path.name}.lock"), waiting=lambda: progress.stage(WAITING)) as held:
            if not held:
                raise UsageError(
                    f"account '{shown_as}' lies on a file system without locks, where two verdicts could count as one",
                    fix="set `account` to a file elsewhere",
                )
            yield Account(path, shown_as)
    except OSError as error:
        raise _unwritable(shown_as, error) from error


def _content(path: Path, shown_as: str) -> bytes:
    try:
        return read_regular(path, most=MOST_BYTES)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise UsageError(f"account '{shown_as}' cannot be read: {error.strerror}") from error


def check_heads(account: Account, remembered: Sequence[str], *, by: str) -> None:
    """Refuse an account that lacks a line of which somebody knows.

    Args:
        by: who remembers the digests.

    Raises:
        UsageError: it was cut, or is another one.
    """
    lost = [head for head in remembered if not account.holds(head)]
    if lost:
        raise _damaged(account.shown_as, f"it lacks the line {lost[0][:16]}, which {by} knows of")


def _damaged(shown_as: str, why: str) -> UsageError:
    return UsageError(
        f"account '{shown_as}' was edited or cut: {why}",
        expected="the account as it was written: each line holds the digest of the one before",
        fix="restore it (git, a backup); without it nobody knows what these rows have answered, and fresh rows are "
        "needed",
    )


def _unwritable(shown_as: str, error: OSError) -> UsageError:
    return UsageError(
        f"account '{shown_as}' cannot be written: {error.strerror}",
        expected="a file that can be written, as every sealed verdict is entered before it is taken",
        fix="set `account` to another file, or make its folder writable",
    )
