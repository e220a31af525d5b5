"""Where the nodes of a graph really ran: a session lists its providers whether they took any or none."""

from __future__ import annotations

import collections
from typing import Any, Counter, Dict, List, Optional

from edgefair.probe.errors import ProbeError
from edgefair.probe.runtimes.providers.settings import CPU

# Has onnxruntime keep which provider took which node (from 1.24 on; older ones ignore it).
RECORD = ("session.record_ep_graph_assignment_info", "1")


def tells_nodes() -> bool:
    """Whether this onnxruntime can tell where nodes ran."""
    import onnxruntime

    return hasattr(onnxruntime.InferenceSession, "get_provider_graph_assignment_info")


def nodes_by_provider(session: Any) -> Dict[str, int]:
    """How many nodes of the graph each provider took; empty where onnxruntime is too old to tell."""
    if not tells_nodes():
        return {}
    taken: Counter[str] = collections.Counter()
    for part in session.get_provider_graph_assignment_info():
        taken[str(part.ep_name)] += len(part.get_nodes())
    return dict(taken)


def check_placement(nodes: Dict[str, int], providers: List[str]) -> None:
    """Nodes ran on the providers that were asked for, and some of them on the first.

    Raises:
        ProbeError: `no_runtime`: they did not.
    """
    fault = misplaced(nodes, providers)
    if fault is not None:
        raise ProbeError("no_runtime", fault)


def misplaced(nodes: Dict[str, int], providers: List[str]) -> Optional[str]:
    """How nodes ran elsewhere than on the providers that were asked for, in words; None where they did not."""
    every = sum(nodes.values())
    if not every:
        return None
    if not nodes.get(providers[0]):
        return (
            f"{providers[0]} took none of the {every} nodes, all ran on {_listed(nodes)}: it cannot compute them "
            "(sizes that are not fixed want `batch: 1`), or could not start with these options"
        )
    others = {name: count for name, count in nodes.items() if name not in providers}
    if others:
        return f"{sum(others.values())} of {every} nodes ran on {_listed(others)}, which `providers` does not name" + (
            f": add {CPU} there if it may compute what {providers[0]} cannot" if CPU in others else ""
        )
    return None


def _listed(nodes: Dict[str, int]) -> str:
    return ", ".join(sorted(name for name, count in nodes.items() if count))
