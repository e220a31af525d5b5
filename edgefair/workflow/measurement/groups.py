"""Are all rows at hand of groups that the policy declares?"""

from __future__ import annotations

import numpy as np

from edgefair.data.rows import TableRows
from edgefair.decision.cells import declared_table
from edgefair.decision.policy import Policy
from edgefair.measure.counts import GroupCounts


def check_groups(policy: Policy, rows: TableRows, classes: tuple[str, ...]) -> None:
    """Refuse rows of a group that the policy does not declare, before any of them is decided (PolicyError)."""
    attributes = {name: rows.sensitive[name] for name in policy.base_attributes}
    # Whatever the labels, which rows of a label design may lack.
    first = np.broadcast_to(np.int64(0), len(rows))
    counts = GroupCounts.from_rows(attributes, label=first, decision=first, classes=classes)
    for name in policy.attributes:
        declared_table(counts, policy, name)
