"""The recipe of `edgefair export` and the thresholds of the policy as flags."""

from __future__ import annotations

import click

from edgefair.cli.config_flags import Decorator, key_flag, section_flags
from edgefair.cli.options import Decorated
from edgefair.compress.config import CompressConfig
from edgefair.decision.policy import Policy
from edgefair.training.settings import DebiasConfig

# Keys of `policy:` that are flags.
GATES = (
    "max_eo_gap",
    "max_eo_increase",
    "max_accuracy_drop",
    "min_balanced_accuracy",
    "max_latency_p90_ms",
    "max_size_bytes",
    "alpha",
    "rule",
    "on_inconclusive",
)


def compress_options(command: Decorated) -> Decorated:
    """The flags of the recipe, in the order in which the steps are carried out, the repair last."""
    *recipe, repair = section_flags(CompressConfig, "compress")
    return _with(command, [*recipe, *section_flags(DebiasConfig, "debias"), repair])


def gate_options(command: Decorated) -> Decorated:
    """The thresholds of the policy, the targets and how to judge."""
    gates = [key_flag(Policy, f"policy__{key}", ranges=False) for key in GATES]
    target = click.option(
        "--target",
        "targets",
        multiple=True,
        callback=lambda _ctx, _option, value: list(value) or None,
        help="Device profile by name or path. Repeatable; the worst verdict is the release's.",
    )
    latency = click.option("--latency/--no-latency", default=True, help="Measure latency.  [default: --latency]")
    return _with(command, [*gates, target, latency])


def _with(command: Decorated, decorators: list[Decorator]) -> Decorated:
    for decorator in reversed(decorators):
        command = decorator(command)
    return command
