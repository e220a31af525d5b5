"""Can this audit set decide by this policy?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgefair.config import Config
from edgefair.data.dataset import DataSet, load
from edgefair.data.groups import joint_groups
from edgefair.decision.cells import declared_table
from edgefair.decision.policy import Policy
from edgefair.decision.recording.corrections import of_rates, recorded_gap
from edgefair.measure.counts import GroupCounts
from edgefair.measure.planning import assumed_decisions, rows_needed, smallest_threshold, with_reference
from edgefair.progress import Progress, silent
from edgefair.report.results.plan import AttributePlan, CellPlan, GapPlan, Plan
from edgefair.workflow.planning.chances import NONE, Chance, Chances
from edgefair.workflow.planning.simulated_audits import Assumed, Audits, EqualCells, OwnRows, OwnSubjects
from edgefair.workflow.sealing.rows import RowSet
from edgefair.workflow.sealing.seal import NextVerdict, next_verdict

Ints = NDArray[np.int64]
# True gaps, as shares of the threshold, for which power is told; fewer of subjects, whose rows are drawn one by one.
GAPS, GAPS_OF_SUBJECTS = (0.0, 0.2, 0.4, 0.6), (0.0, 0.2, 0.4)
# Audits behind every chance: of independent rows, and of subjects.
SIMULATIONS, SIMULATIONS_OF_SUBJECTS = 400, 120
# Largest multiple of the rows at hand, of the subjects, and rows per cell that are tried.
MOST_TIMES, MOST_TIMES_OF_SUBJECTS, MOST_ROWS = 1024.0, 8.0, float(1 << 22)
# Where nothing is said: decisions of a subject's rows are far from independent, and not all alike.
DEFAULT_ICC = 0.3


def plan(
    config: Config,
    *,
    tpr: float = 0.8,
    fpr: float = 0.1,
    flip_rate: float = 0.01,
    icc: float = DEFAULT_ICC,
    simulations: int | None = None,
    progress: Progress = silent,
) -> Plan:
    """Chance that the whole verdict is PASS, by simulated audits, and the rows for a chance of 80 %.

    An audit is drawn with the joint groups and labels of the rows at hand, so attributes are as dependent as there;
    rows of subjects by drawing the subjects. It is judged by the whole policy, but for what the device costs; under a
    seal at what the next verdict on these rows may spend.

    Args:
        tpr: true-positive rate to plan for (more than two classes: recall of every class).
        fpr: false-positive rate to plan for.
        flip_rate: share of the decisions that compression is expected to change.
        icc: correlation of the decisions of one subject's rows; of no matter where no subject is declared.
        simulations: audits behind every chance; default 400, of subjects 120.

    Raises:
        DataError, PolicyError: see the message.
        UsageError: the policy is sealed, and no verdict on these rows is left.
    """
    progress.stage("reading")
    data = load(config.data, base=config.base, roles=["audit"])
    sealed = next_verdict(config, RowSet.of(data.audit)) if config.policy.audit == "sealed" else None
    policy = _planned(config.policy, sealed)
    subject, classes = data.audit.subject, data.classes
    cells = {name: _cell_counts(policy, data, name) for name in policy.attributes}
    lacking = {name: _lacking(policy, data, name, table) for name, table in cells.items()}
    rates = np.array([fpr, tpr] if len(classes) == 2 else [tpr] * len(classes))
    kept = {name: recorded_gap(policy, name, classes) for name in cells}
    smallest = {name: _smallest(table, rates, policy, name, classes) for name, table in cells.items()}
    hardest = max(cells, key=lambda name: _hardness(smallest[name], policy.threshold(name)))
    trials = simulations or (SIMULATIONS if subject is None else SIMULATIONS_OF_SUBJECTS)
    own: Audits = OwnRows(policy, _joint(policy, data))
    equal = EqualCells(policy, classes)
    if subject is not None:
        own = OwnSubjects(policy, data.audit, subject, classes, icc)
    chances = Chances(policy, np.random.default_rng(config.seed))
    search = _Search(
        chances,
        policy,
        rates,
        cells,
        (hardest, kept[hardest]),
        trials,
        MOST_TIMES_OF_SUBJECTS if subject else MOST_TIMES,
    )
    power: list[GapPlan] = []
    fair = NONE
    progress.stage("simulating audits")
    shares = GAPS if subject is None else GAPS_OF_SUBJECTS
    for index, share in enumerate(shares):
        progress.step(index, len(shares), "simulating audits")
        gap = round(share * kept[hardest], 6)
        model = Assumed(
            (hardest, policy.groups(hardest)[-1]),
            with_reference(assumed_decisions(tpr, fpr, len(classes), gap), flip_rate),
        )
        found = NONE if any(lacking.values()) else chances.chance(own, model, size=1.0, trials=trials)
        fair = fair if power else found
        power.append(search.gap_plan(gap, found, own, equal if subject is None and equal.groups else None, model))
    return Plan(
        source=data.source,
        rows=len(data.audit),
        counted=_counted(data),
        labels=classes,
        assumed_tpr=tpr,
        assumed_fpr=fpr,
        flip_rate=flip_rate,
        icc=None if subject is None else icc,
        alpha=policy.alpha,
        worse=(hardest, policy.group_names(hardest)[-1]),
        attributes=tuple(
            AttributePlan(
                attribute=name,
                threshold=policy.threshold(name),
                least_rows=policy.cell_rows(policy.threshold(name)),
                cells=_cells(policy, name, table),
                lacking=lacking[name],
                smallest_threshold=smallest[name] if subject is None else None,
                chance=fair.of_attribute(name),
                corrected_threshold=None if of_rates(policy, name, classes) is None else kept[name],
            )
            for name, table in cells.items()
        ),
        gates=fair.of_gates(),
        power=tuple(power),
        simulations=trials,
        not_judged=policy.not_judged(config.data.sensitive),
        sealed_verdict=None if sealed is None else sealed.number,
    )


def _planned(policy: Policy, sealed: NextVerdict | None) -> Policy:
    """The policy but for what the device costs, at the level that the verdict may spend."""
    open_at = {} if sealed is None else {"alpha": sealed.level, "audit": "open"}
    cost = dict.fromkeys(("max_latency_p90_ms", "max_size_bytes", "max_load_ms", "max_peak_memory_mb"))
    return policy.model_copy(update={**cost, **open_at})


class _Search:
    """For the sizes of audits that pass with a chance of 80 %."""

    def __init__(
        self,
        chances: Chances,
        policy: Policy,
        rates: NDArray[np.float64],
        cells: dict[str, Ints],
        hardest: tuple[str, float],
        trials: int,
        most_times: float,
    ) -> None:
        self._chances, self._trials, self._most_times = chances, trials, most_times
        self._smallest = min(int(table.min()) for table in cells.values())
        self._least = max(policy.cell_rows(policy.threshold(name)) for name in cells)
        name, self._threshold = hardest
        self._alpha, self._rule = policy.limits_alpha, policy.rule
        self._variance = np.tile(2 * rates * (1 - rates) + 1e-3, len(cells[name]))

    def gap_plan(self, gap: float, found: Chance, own: Audits, equal: Audits | None, model: Assumed) -> GapPlan:
        """Power at one true gap."""
        shape = self._variance.shape
        guess = (
            rows_needed(
                np.full(shape, gap),
                self._variance,
                np.full(shape, self._threshold),
                np.full(shape, 2.0),
                alpha=self._alpha,
                rule=self._rule,
                least=self._least,
            )
            or self._least
        )
        times, rows = None, None
        if self._smallest:
            times = self._size(own, model, guess / self._smallest, self._least / self._smallest, self._most_times)
        if equal is not None:
            rows = self._size(equal, model, guess, self._least, MOST_ROWS)
        return GapPlan(
            gap=gap,
            chance=found.value,
            standard_error=found.error,
            times_rows=None if times is None else float(f"{times:.3g}"),
            rows_per_cell=None if rows is None else int(np.ceil(rows)),
        )

    def _size(self, audits: Audits, model: Assumed, guess: float, least: float, most: float) -> float | None:
        return self._chances.size(audits, model, guess=guess, least=least, most=most, trials=self._trials)


def _joint(policy: Policy, data: DataSet) -> GroupCounts:
    """Rows by joint group and label."""
    audit = data.audit
    return GroupCounts.from_rows(
        {name: audit.sensitive[name] for name in policy.base_attributes},
        label=audit.label,
        decision=audit.label,
        classes=data.classes,
    )


def _cell_counts(policy: Policy, data: DataSet, name: str) -> Ints:
    """Rows of each declared group and label, or subjects where they are declared: int64 [groups, labels]."""
    audit = data.audit
    if audit.subject is not None:
        group, _ = joint_groups(audit.sensitive, policy.attributes_of(name))
        cell = np.stack([audit.subject.codes, group, audit.label])
        audit = audit.take(np.sort(np.unique(cell, axis=1, return_index=True)[1]))
    counts = GroupCounts.from_rows(
        {item: audit.sensitive[item] for item in policy.base_attributes},
        label=audit.label,
        decision=audit.label,
        classes=data.classes,
    )
    found: Ints = declared_table(counts, policy, name).sum(axis=2)
    return found


def _counted(data: DataSet) -> str:
    return "rows" if data.audit.subject is None else "subjects"


def _lacking(policy: Policy, data: DataSet, name: str, table: Ints) -> tuple[str, ...]:
    groups, least = policy.group_names(name), policy.cell_rows(policy.threshold(name))
    return tuple(
        f"'{groups[group]}' has {int(table[group, label])} {_counted(data)} with label '{data.classes[label]}'"
        for group, label in np.argwhere(table < least)
    )


def _cells(policy: Policy, name: str, table: Ints) -> tuple[CellPlan, ...]:
    rows = zip(policy.group_names(name), table, strict=True)
    return tuple(CellPlan(group, tuple(int(n) for n in row)) for group, row in rows)


def _smallest(
    table: Ints, rates: NDArray[np.float64], policy: Policy, name: str, classes: tuple[str, ...]
) -> float | None:
    if not table.all():
        return None
    recorded = smallest_threshold(table, rates, alpha=policy.limits_alpha)
    correction = of_rates(policy, name, classes)
    if correction is None:
        return recorded
    return float(correction.upper(np.asarray(recorded))[np.triu_indices(len(table), k=1)].max())


def _hardness(smallest: float | None, threshold: float) -> float:
    """How large a threshold the rows can decide, next to that of the policy."""
    return (1.0 if smallest is None else smallest) / max(threshold, 1e-9)
