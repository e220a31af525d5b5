"""The seal of a project's audit rows: what it says, and opening it. No model is asked anything."""

from __future__ import annotations

from pathlib import Path

from edgefair.bundle.manifest import REPORT
from edgefair.config import Config
from edgefair.data.dataset import DataSet, load
from edgefair.decision.spending import sealed_level
from edgefair.errors import DataError
from edgefair.files import as_path, shown
from edgefair.probe.files import read_json
from edgefair.probe.regular import read_regular
from edgefair.progress import Progress, silent
from edgefair.report.results.audit import AuditStatus
from edgefair.workflow.measurement.ledger import remembered
from edgefair.workflow.sealing.account import Account, check_heads
from edgefair.workflow.sealing.rows import RowSet
from edgefair.workflow.sealing.seal import LEDGER_KNOWS, open_seal, read_account, said

MOST_REPORT = 256 << 20


def audit_status(config: Config, *, holds: str | Path | None = None, progress: Progress = silent) -> AuditStatus:
    """How often the audit rows were asked under seal, what is left, and whether the account is whole.

    Args:
        holds: a report, or a bundle, whose verdict the account must hold.

    Raises:
        UsageError: the account was edited or cut, by itself, by the ledger beside the config or by that report.
        DataError: the rows cannot be read, or the report is none of a sealed verdict.
    """
    holds = as_path(holds)
    account = read_account(config)
    check_heads(account, remembered(config.base), by=LEDGER_KNOWS)
    if holds is not None:
        check_heads(account, [_head_in(holds)], by=f"'{holds}'")
    return _status(config, account, _read(config, progress))


def open_audit(config: Config, *, reason: str = "", progress: Progress = silent) -> AuditStatus:
    """Open the seal: numbers of these rows may be shown from now on, and no sealed verdict rests on them any more.

    Args:
        reason: why, for whoever reads the account.

    Raises:
        UsageError: the rows are not sealed, or were opened before; or the account cannot be written or believed.
        DataError: the rows cannot be read.
    """
    data = _read(config, progress)
    known = remembered(config.base)
    account = open_seal(config, RowSet.of(data.audit), reason=reason, remembered=known, progress=progress)
    return _status(config, account, data)


def _read(config: Config, progress: Progress) -> DataSet:
    progress.stage("reading")
    return load(config.data, base=config.base, roles=["audit"], optional=("train", "validation"))


def _status(config: Config, account: Account, data: DataSet) -> AuditStatus:
    rows = RowSet.of(data.audit)
    opened, asked, alpha = account.opened(rows), account.asked(rows), config.policy.alpha
    return AuditStatus(
        account=account.shown_as,
        head=account.head,
        source=shown(data.source, config.base),
        rows=len(data.audit),
        fingerprint=rows.fingerprint,
        policy=config.policy.audit,
        alpha=alpha,
        asked=asked,
        next_level=None if opened is not None else sealed_level(alpha, asked + 1),
        opened=None if opened is None else said(opened),
    )


def _head_in(path: Path) -> str:
    """The account's line that a report, or the report of a bundle, names.

    Raises:
        DataError: there is none.
    """
    try:
        report = read_json(read_regular(path / REPORT if path.is_dir() else path, most=MOST_REPORT))
        return str(report["seal"]["head"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"'{path}' is no report of a sealed verdict: {error!r}",
            expected="a bundle, a blocked.json or a report of `edgefair verify` with policy.audit: sealed",
        ) from error
