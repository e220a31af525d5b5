"""Of many groups and classes those that a reader must see first; JSON has all of them."""

from __future__ import annotations

from dataclasses import dataclass

from edgefair.decision.verdict import AttributeSummary, CellRate, GroupRates, Verdict

# Lines that the groups of one target take on a screen, and those that each attribute gets at least.
ROWS, LEAST = 12, 6
# Rates of a group that fit beside each other.
WIDE = 2


@dataclass(frozen=True)
class WorstGroups:
    """The groups of an attribute that are shown, in the policy's order.

    Attributes:
        groups: each with the rates that are shown.
        left: what is not, in words; empty where all is.
    """

    groups: tuple[tuple[GroupRates, tuple[CellRate, ...]], ...]
    left: str


def worst_groups(verdict: Verdict, summary: AttributeSummary) -> WorstGroups:
    """The groups that bind a gate, then those of the worst comparisons, then the least accurate ones."""
    rows = max(LEAST, ROWS // len(verdict.attributes))
    rates = len(summary.groups[0].rates)
    names = _worst_first(verdict, summary)[: rows if rates <= WIDE else rows // WIDE]
    groups = [group for group in summary.groups if group.group in names]
    chosen = _widest(groups, rates if rates <= WIDE else max(WIDE, rows // len(groups)))
    left = [
        f"{len(summary.groups) - len(groups):,} groups that differ less" * (len(groups) < len(summary.groups)),
        f"{rates - len(chosen):,} rates in which groups differ less" * (len(chosen) < rates),
    ]
    found = tuple((group, tuple(group.rates[index] for index in chosen)) for group in groups)
    return WorstGroups(found, " and ".join(filter(None, left)))


def _worst_first(verdict: Verdict, summary: AttributeSummary) -> list[str]:
    binding = [gate.binding for gate in verdict.gates if gate.binding is not None]
    compared = [item for item in (*binding, *verdict.comparisons) if item.attribute == summary.attribute]
    least_accurate = sorted(summary.groups, key=lambda group: group.balanced_accuracy or 0.0)
    named = [name for item in compared for name in (item.group_a, item.group_b)]
    return list(dict.fromkeys([*named, *(group.group for group in least_accurate)]))


def _widest(groups: list[GroupRates], most: int) -> list[int]:
    """Positions of the rates in which the groups differ most."""

    def spread(index: int) -> float:
        known = [rate for group in groups if (rate := group.rates[index].rate) is not None]
        return max(known, default=0.0) - min(known, default=0.0)

    return sorted(sorted(range(len(groups[0].rates)), key=spread, reverse=True)[:most])
