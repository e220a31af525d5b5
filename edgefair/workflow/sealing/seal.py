"""Who may ask what of audit rows: a sealed set answers "not PASS" until it PASSes or is opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from edgefair.config import Config
from edgefair.data.dataset import DataSet
from edgefair.decision.spending import sealed_level
from edgefair.errors import UsageError
from edgefair.files import sha256_json, shown
from edgefair.progress import Progress, silent
from edgefair.report.results.verification import Seal
from edgefair.workflow.clock import now
from edgefair.workflow.sealing.account import ASKED, OPENED, PASSED, Account, check_heads, locked_account
from edgefair.workflow.sealing.rows import RowSet, mixed_in

FRESH = "judge on audit rows that no verdict has seen"
LEDGER_KNOWS = "the ledger beside the config"


@dataclass(frozen=True)
class Question:
    """What a verdict is about.

    Attributes:
        model: sha256 of the model file.
        policy: digest of the policy.
        targets: on which it is judged.
    """

    model: str
    policy: str
    targets: tuple[str, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of all of it."""
        return sha256_json([self.model, self.policy, sorted(self.targets)])


@dataclass(frozen=True)
class Charge:
    """A verdict that was paid for.

    Attributes:
        seal: what its report says of it.
        again: whether the same question has PASSed before on these rows: nothing was spent, and its numbers are known.
    """

    seal: Seal
    again: bool


def read_account(config: Config) -> Account:
    """The account of the project as it is now.

    Raises:
        UsageError: it cannot be read, or was edited or cut.
    """
    path = config.account_path
    return Account(path.resolve(), shown(path, config.base))


def check_shown(config: Config, rows: RowSet, *, by: str) -> None:
    """Refuse to show what models decide of rows that are sealed: by this policy, or by one under which they were used.

    Args:
        by: what would show it, as "`edgefair compare`".

    Raises:
        UsageError: the rows are sealed, or the account cannot be believed.
    """
    account = read_account(config)
    sealed = config.policy.audit == "sealed" or account.asked(rows) > 0
    if sealed and account.opened(rows) is None:
        raise UsageError(
            f"{by} would show what models decide of sealed audit rows (account '{account.shown_as}')",
            expected="a verdict of `edgefair export` or `edgefair verify` with policy.audit: sealed, which tells PASS "
            "or not PASS",
            fix="open the seal with `edgefair audit open`, which retires these rows, or use other rows",
        )


def check_not_sealed(config: Config, data: DataSet) -> None:
    """Refuse to learn from sealed audit rows, or to show what models decide of them, under the name of another split.

    Raises:
        UsageError: training or validation rows are such rows, or the account cannot be believed.
    """
    account = read_account(config)
    known = account.sealed
    found = [role for role, rows in data.splits.items() if known and role != "audit" and mixed_in(rows, known)]
    if found:
        raise UsageError(
            f"{found[0]} rows are audit rows that were sealed (account '{account.shown_as}')",
            expected="splits that hold no row on which a sealed verdict rests",
            fix="keep the split that the seal was made with, or open it with `edgefair audit open`",
        )


def check_judgeable(config: Config, rows: RowSet, *, command: str) -> None:
    """Refuse a verdict that will not be taken, before anything is measured.

    Raises:
        UsageError: the policy is sealed and the seal was opened; it is open and they are sealed; or the account cannot
            be believed.
    """
    if config.policy.audit == "open":
        check_shown(config, rows, by=f"`edgefair {command}` with policy.audit: open")
        return
    account = read_account(config)
    if not account.has_passed(rows):
        _check_closed(account, rows)


def charge(
    config: Config,
    rows: RowSet,
    question: Question,
    *,
    command: str,
    remembered: Sequence[str],
    progress: Progress = silent,
) -> Charge:
    """Enter a verdict in the account, before it is taken: whatever happens next, it is spent.

    Verdict k on these rows gets alpha / (k (k + 1)). A question that has PASSed is answered again at its own level.

    Args:
        remembered: digests of lines that the account must hold.

    Raises:
        UsageError: the seal was opened, or the account cannot be written or believed; nothing is spent.
    """
    with _locked(config, progress) as account:
        check_heads(account, remembered, by=LEDGER_KNOWS)
        before = account.passed(rows, question.digest)
        if before is not None:
            return Charge(_seal(account, config, before["number"], before["digest"]), again=True)
        _check_closed(account, rows)
        number = account.asked(rows) + 1
        head = account.add(
            ASKED,
            rows,
            created=now(),
            command=command,
            project=config.project,
            model=question.model,
            question=question.digest,
            number=number,
            level=sealed_level(config.policy.alpha, number),
        )
        return Charge(_seal(account, config, number, head), again=False)


def enter_pass(config: Config, rows: RowSet, question: Question, charged: Charge, *, progress: Progress) -> Seal:
    """Enter that a verdict was PASS, before anybody is told: its numbers open the seal.

    Raises:
        UsageError: the account cannot be written or believed.
    """
    paid = charged.seal
    with _locked(config, progress) as account:
        check_heads(account, [paid.head], by="this verdict")
        head = account.add(
            PASSED,
            rows,
            created=now(),
            project=config.project,
            model=question.model,
            question=question.digest,
            number=paid.verdict,
            asked=paid.head,
        )
        return _seal(account, config, paid.verdict, head)


def open_seal(config: Config, rows: RowSet, *, reason: str, remembered: Sequence[str], progress: Progress) -> Account:
    """Open the seal of these rows: their numbers may be shown from now on, and no sealed verdict rests on them.

    Raises:
        UsageError: they are not sealed, or were opened before; or the account cannot be written or believed.
    """
    with _locked(config, progress) as account:
        check_heads(account, remembered, by=LEDGER_KNOWS)
        if config.policy.audit == "open" and not account.asked(rows):
            raise UsageError(
                "these audit rows are not sealed: policy.audit is open, and no sealed verdict was asked of them",
                expected="rows that a project with policy.audit: sealed judges by",
            )
        found = account.opened(rows)
        if found is not None:
            raise UsageError(f"the seal of these rows is open already: {said(found)}", fix=FRESH)
        account.add(OPENED, rows, created=now(), project=config.project, reason=reason)
        return account


def said(opened: Mapping[str, Any]) -> str:
    """How a seal was opened, in words."""
    if opened["event"] == PASSED:
        return f"a model PASSed at {opened['created']} (sha256 {opened['model'][:16]}), and its numbers are known"
    because = f" ({opened['reason']})" if opened["reason"] else ""
    return f"`edgefair audit open` at {opened['created']}{because}"


def _locked(config: Config, progress: Progress) -> AbstractContextManager[Account]:
    return locked_account(config.account_path, shown(config.account_path, config.base), progress=progress)


def _check_closed(account: Account, rows: RowSet) -> None:
    found = account.opened(rows)
    if found is not None:
        raise UsageError(
            f"the seal of these audit rows was opened: {said(found)}",
            expected="rows of which nobody knows more than how often they were asked",
            fix=f"{FRESH}, or set policy.audit: open, which shows numbers and claims less",
        )


def _seal(account: Account, config: Config, number: int, head: str) -> Seal:
    alpha = config.policy.alpha
    return Seal(account=account.shown_as, verdict=number, level=sealed_level(alpha, number), head=head)
