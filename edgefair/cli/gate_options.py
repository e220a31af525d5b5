"""The thresholds of the policy as flags, and on what and how to judge."""

from __future__ import annotations

import click

from edgefair.cli.config_flags import key_flag
from edgefair.cli.options import Decorated, with_all
from edgefair.decision.policy import Policy

# Keys of `policy:` that are flags.
GATES = (
    "max_eo_gap",
    "max_eo_increase",
    "max_accuracy_drop",
    "min_balanced_accuracy",
    "max_latency_p90_ms",
    "max_size_bytes",
    "max_load_ms",
    "max_peak_memory_mb",
    "alpha",
    "rule",
    "on_inconclusive",
)


def gate_options(command: Decorated) -> Decorated:
    """The thresholds of the policy, the targets and how to judge; they arrive as `section__key` arguments."""
    target = click.option(
        "--target",
        "targets",
        multiple=True,
        callback=lambda _ctx, _option, value: list(value) or None,
        help="Device profile by name or path. Repeatable; the worst verdict is the release's.",
    )
    latency = click.option("--latency/--no-latency", default=True, help="Measure latency.  [default: --latency]")
    sequential = click.option(
        "--sequential",
        is_flag=True,
        help="Take the audit rows in up to five steps, and stop a target as soon as its verdict is shown.",
    )
    keys = [key_flag(Policy, f"policy__{key}", ranges=False) for key in GATES]
    return with_all(command, [*keys, target, latency, sequential])
