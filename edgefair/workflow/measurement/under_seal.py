"""What a verdict on sealed audit rows may show."""

from __future__ import annotations

from collections.abc import Sequence

from edgefair.config import Config
from edgefair.decision.verdict import Outcome
from edgefair.errors import UsageError
from edgefair.report.results.verification import Seal, TargetResult
from edgefair.workflow.exemplars.changed import RowsToShow
from edgefair.workflow.measurement.result import Counted
from edgefair.workflow.sealing.seal import Charge


def check_record(config: Config) -> None:
    """Refuse to write or to judge a record of sealed rows, which holds every decision and label.

    Raises:
        UsageError: policy.audit is sealed.
    """
    if config.policy.audit == "sealed":
        raise UsageError(
            "a record holds what a model decides of every audit row, and policy.audit is sealed",
            expected="a verdict that is measured and judged in one go",
            fix="leave the record out, or judge with policy.audit: open once the seal is opened",
        )


def check_to_show(config: Config, to_show: RowsToShow | None) -> None:
    """Refuse to show sealed rows with what a model decides of them.

    Raises:
        UsageError: policy.audit is sealed.
    """
    if to_show is not None and config.policy.audit == "sealed":
        raise UsageError(
            "a page with rows shows what a model decides of them, and policy.audit is sealed",
            expected="a page without them",
            fix="omit --show-rows; `edgefair explain --show-rows` shows validation rows",
        )


def results_under_seal(config: Config, counted: Sequence[Counted], charged: Charge) -> tuple[TargetResult, ...]:
    """The results where all targets PASS at the level that was paid for; none where one does not, or it is spent."""
    level = charged.seal.level
    if level is None:
        return ()
    results = tuple(item.judged(config, targets=len(counted), level=level) for item in counted)
    passed = all(item.verdict.outcome is Outcome.PASS for item in results)
    return results if passed or charged.again else ()


def not_pass(seal: Seal) -> str:
    """All that sealed rows say, and what to do: the same words whatever was found."""
    if seal.level is None:
        return (
            f"sealed: the error probability of these audit rows is spent (verdict {seal.verdict}), so nothing was "
            "judged: judge on audit rows that no verdict has seen"
        )
    return (
        f"sealed: verdict {seal.verdict} on these audit rows, at level {seal.level:.3g}, is not PASS, and they tell no "
        "more: look at validation rows (`edgefair explain`, the repair), or open the seal with `edgefair audit open`, "
        "which retires these rows"
    )
