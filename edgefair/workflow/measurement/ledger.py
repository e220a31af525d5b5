"""How often audit rows were used: one line per verdict, kept beside the config."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgefair import jsonl
from edgefair.errors import UsageError
from edgefair.locks import lock_now
from edgefair.measure.sketch import SAME_ROWS, read_sketch, shared, sketch_text
from edgefair.probe.regular import read_regular
from edgefair.probe.system.files import open_file
from edgefair.report.results.verification import LedgerCount
from edgefair.workflow.sealing.rows import RowSet

LEDGER = "edgefair.ledger.jsonl"
# Some 200,000 verdicts; what is larger is not a ledger.
MOST_BYTES = 64 << 20
LOCK_TRIES, LOCK_WAIT_S = 20, 0.1


def spend(
    folder: Path,
    *,
    audit: str,
    sketch: Sequence[int],
    model: str,
    outcome: str,
    created: str,
    command: str,
    head: str | None = None,
) -> LedgerCount | None:
    """Add a verdict to the ledger of a project, and count those that were taken on these audit rows.

    An earlier verdict counts if its audit set is the same, or shares more than SAME_ROWS of the smaller one's rows,
    whatever split drew it. The sketch of an audit set stands in the first line of that set; older ledgers have none,
    and their lines count where the set is the same.

    Args:
        folder: the project's folder.
        audit: fingerprint of the audit rows.
        sketch: of their hashes (`measure.sketch`).
        model: sha256 of the model file.
        head: of a sealed verdict, the digest of the account's line about it.

    Returns:
        The count, this verdict included; None where the ledger cannot be read and written: no file, a link, too large,
        or held by another process all the time.
    """
    entry = {"created": created, "command": command, "audit": audit, "model": model, "outcome": outcome}
    entry |= {} if head is None else {"account": head}
    try:
        descriptor = open_file(folder / LEDGER, os.O_RDWR | os.O_CREAT | os.O_APPEND, follow=False)
    except OSError:
        return None
    try:
        found = _read(descriptor)
        sketches = _sketches(found)
        used = {audit, *(name for name, known in sketches.items() if shared(known, sketch) > SAME_ROWS)}
        jsonl.append(descriptor, entry if audit in sketches else entry | {"rows": sketch_text(sketch)})
    except OSError:
        return None
    finally:
        os.close(descriptor)
    before = [(item["model"], item["audit"]) for item in found if item["audit"] in used]
    tries = {*before, (model, audit)}
    return LedgerCount(verdicts=len(before) + 1, models=len({name for name, _ in tries}), tries=len(tries))


def remembered(folder: Path) -> tuple[str, ...]:
    """Digests of lines of the account that this ledger knows of: a second memory, beside the account's own."""
    heads = (item.get("account") for item in _lines(folder))
    return tuple(dict.fromkeys(head for head in heads if isinstance(head, str)))


def check_never_open(folder: Path, rows: RowSet) -> None:
    """Refuse to seal rows whose numbers this ledger knows to have been shown: what was learnt of them was not paid for.

    Raises:
        UsageError: a verdict was taken on some of these rows in the open.
    """
    known = _lines(folder)
    sketches = _sketches(known)
    used = {
        name
        for name, sketch in sketches.items()
        if any(shared(sketch, own) > SAME_ROWS for own in rows.sketches.values())
    }
    shown = [item for item in known if item["audit"] in used | {rows.fingerprint} and "account" not in item]
    if shown:
        raise UsageError(
            f"these audit rows were judged in the open before: {len(shown)} times by the ledger '{LEDGER}', last on "
            f"{shown[-1].get('created', '?')}",
            expected="rows that are sealed from the first verdict on: a seal is worth nothing once numbers were shown",
            fix="seal fresh audit rows, or go on with policy.audit: open",
        )


def _lines(folder: Path) -> list[dict[str, Any]]:
    """The verdicts of a ledger that nobody holds; none where it cannot be read."""
    try:
        return _verdicts(read_regular(folder / LEDGER, most=MOST_BYTES, follow=False))
    except OSError:
        return []


def _verdicts(content: bytes) -> list[dict[str, Any]]:
    return [
        item for item in jsonl.entries(content) if all(isinstance(item.get(key), str) for key in ("audit", "model"))
    ]


def _read(descriptor: int) -> list[dict[str, Any]]:
    """The verdicts of a ledger, which is locked until its descriptor is closed.

    Raises:
        OSError: no file, too large, or another process does not let go of it.
    """
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_size > MOST_BYTES:
        raise OSError
    _lock(descriptor)
    with os.fdopen(os.dup(descriptor), "rb") as stream:
        # Reading reserves memory for as much as it is told to.
        content = stream.read(min(os.fstat(descriptor).st_size, MOST_BYTES))
    return _verdicts(content)


def _lock(descriptor: int) -> None:
    for tries_left in reversed(range(LOCK_TRIES)):
        try:
            lock_now(descriptor)
        except BlockingIOError:
            if tries_left == 0:
                raise
            time.sleep(LOCK_WAIT_S)
        except OSError:  # a file system without locks: a line is one write
            return
        else:
            return


def _sketches(found: Sequence[dict[str, Any]]) -> dict[str, tuple[int, ...]]:
    """Fingerprint of an audit set -> the sketch of its rows, where a whole one was written down."""
    return {item["audit"]: sketch for item in found if (sketch := read_sketch(item.get("rows")))}
