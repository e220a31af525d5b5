"""How often an audit set was used: one line per verdict, kept beside the config."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import Any

from edgefair.report.model import LedgerCount

LEDGER = "edgefair.ledger.jsonl"


def spend(folder: Path, *, audit: str, model: str, outcome: str, created: str, command: str) -> LedgerCount | None:
    """Add a verdict to the ledger of a project, and count those on the same audit set.

    Args:
        folder: the project's folder.
        audit: fingerprint of the audit rows.
        model: sha256 of the model file.

    Returns:
        The count, this verdict included; None where the folder cannot be written.
    """
    entry = {"created": created, "command": command, "audit": audit, "model": model, "outcome": outcome}
    try:
        with (folder / LEDGER).open("a+") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            stream.seek(0)
            entries = [item for line in stream if (item := _entry(line)) and item.get("audit") == audit]
            stream.write(json.dumps(entry) + "\n")
    except OSError:
        return None
    return LedgerCount(verdicts=len(entries) + 1, models=len({item.get("model") for item in entries} | {model}))


def _entry(line: str) -> dict[str, Any] | None:
    """A line of the ledger; None for one that a killed process left unfinished."""
    try:
        item = json.loads(line)
    except ValueError:
        return None
    return item if isinstance(item, dict) else None
