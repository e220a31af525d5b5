"""edgefair: compress a model for the edge, and ship it only if it is shown to be fair on the device.

    config = edgefair.load_config("edgefair.yaml")
    run = edgefair.train(config, name="fair")
    report = edgefair.export(config, run="fair", int8="auto")
    report = edgefair.verify(config)
    verdict = edgefair.decide(counts, policy)

The names below are imported when they are first used, so that `import edgefair` is cheap and needs no torch.
"""

from __future__ import annotations

import importlib
import time
from typing import TYPE_CHECKING, Any

from edgefair._version import __version__

# Where the time of a command begins (`cli.timings`).
_began = time.perf_counter()

if TYPE_CHECKING:
    from edgefair.config import Config, load_config
    from edgefair.decision.decide import decide
    from edgefair.decision.evidence import Evidence
    from edgefair.decision.policy import Policy
    from edgefair.decision.verdict import Outcome, Verdict
    from edgefair.measure.counts import GroupCounts
    from edgefair.measure.paired import PairedCounts
    from edgefair.progress import Progress
    from edgefair.report.results.verification import Report
    from edgefair.workflow.assertion import assert_fair
    from edgefair.workflow.audit import audit_status, open_audit
    from edgefair.workflow.auto.search import auto
    from edgefair.workflow.compare import compare
    from edgefair.workflow.diagnose import diagnose
    from edgefair.workflow.explain import explain
    from edgefair.workflow.export import export
    from edgefair.workflow.measurement.brought.verify import verify_decisions
    from edgefair.workflow.planning.plan import plan
    from edgefair.workflow.train import train
    from edgefair.workflow.tune import tune
    from edgefair.workflow.verify import verify

_HOME = {
    "Config": "edgefair.config",
    "Evidence": "edgefair.decision.evidence",
    "GroupCounts": "edgefair.measure.counts",
    "Outcome": "edgefair.decision.verdict",
    "PairedCounts": "edgefair.measure.paired",
    "Policy": "edgefair.decision.policy",
    "Progress": "edgefair.progress",
    "Report": "edgefair.report.results.verification",
    "Verdict": "edgefair.decision.verdict",
    "assert_fair": "edgefair.workflow.assertion",
    "audit_status": "edgefair.workflow.audit",
    "auto": "edgefair.workflow.auto.search",
    "compare": "edgefair.workflow.compare",
    "decide": "edgefair.decision.decide",
    "diagnose": "edgefair.workflow.diagnose",
    "explain": "edgefair.workflow.explain",
    "export": "edgefair.workflow.export",
    "load_config": "edgefair.config",
    "open_audit": "edgefair.workflow.audit",
    "plan": "edgefair.workflow.planning.plan",
    "train": "edgefair.workflow.train",
    "tune": "edgefair.workflow.tune",
    "verify": "edgefair.workflow.verify",
    "verify_decisions": "edgefair.workflow.measurement.brought.verify",
}

__all__ = [
    "Config",
    "Evidence",
    "GroupCounts",
    "Outcome",
    "PairedCounts",
    "Policy",
    "Progress",
    "Report",
    "Verdict",
    "__version__",
    "assert_fair",
    "audit_status",
    "auto",
    "compare",
    "decide",
    "diagnose",
    "explain",
    "export",
    "load_config",
    "open_audit",
    "plan",
    "train",
    "tune",
    "verify",
    "verify_decisions",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'edgefair' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
