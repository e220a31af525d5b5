"""The recipe of `edgefair export` as flags; they arrive as `compress__key` arguments."""

from __future__ import annotations

from typing import Any

import click

from edgefair.cli.options import Decorated, Number, Share
from edgefair.debias import POST_METHODS

_SHARE = Share()
WORDS = ("auto", "static", "dynamic")


class RecipeCommand(click.Command):
    """Lets MODEL follow `--int8`, whose word may be left out."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give a bare `--int8` its default word."""
        following = [*args[1:], ""]
        bare = [item == "--int8" and then not in WORDS for item, then in zip(args, following, strict=True)]
        return super().parse_args(ctx, ["--int8=auto" if own else item for item, own in zip(args, bare, strict=True)])


def _number_or_name(_ctx: click.Context, _option: click.Parameter, value: str | None) -> str | float | None:
    try:
        return value if value is None else float(value)
    except ValueError:
        return value


def compress_options(command: Decorated) -> Decorated:
    """The flags of the recipe, in the order in which the steps are carried out."""
    decorators: list[Any] = [
        click.option(
            "--distill",
            "compress__distill__teacher",
            default=None,
            metavar="TEACHER",
            help="A run that teaches the student, or what --prune and --low-rank leave.",
        ),
        click.option(
            "--student",
            "compress__distill__student",
            default=None,
            callback=_number_or_name,
            metavar="NETWORK|WIDTH|pruned",
            help="Whom the TEACHER of --distill teaches: a network by name, the run's network at a share of its width, "
            "or what pruning leaves.  [default: pruned]",
        ),
        click.option(
            "--prune",
            "compress__prune",
            type=_SHARE,
            default=None,
            metavar="RATIO",
            help="Remove this share of the multiply-accumulate operations as whole channels, then fine-tune.",
        ),
        click.option(
            "--scope",
            "compress__scope",
            type=click.Choice(["local", "global"]),
            default=None,
            help="Of --prune and --sparsity: every layer alike, or the weakest of all layers.",
        ),
        click.option(
            "--importance",
            "compress__importance",
            type=click.Choice(
                ["magnitude", "taylor", "fairgrape", "fairprune", "adversarial", "adversarial-frozen", "random"]
            ),
            default=None,
            help="Which channels matter; fairgrape, fairprune and adversarial ask what they are worth to each group. "
            "adversarial-frozen (a sub-network with random weights, never trained) and random are for studies.",
        ),
        click.option(
            "--beta",
            "compress__beta",
            type=Number(min=0, min_open=True),
            default=None,
            help="Of fairprune: what the other groups' loss counts against the worst one's.  [default: 0.5]",
        ),
        click.option(
            "--round-to",
            "compress__round_to",
            type=click.IntRange(min=1, max=512),
            default=None,
            metavar="CHANNELS",
            help="Wide layers keep a multiple of so many channels.  [default: 16]",
        ),
        click.option(
            "--measure",
            "compress__measure",
            type=click.Choice(["macs", "parameters", "latency"]),
            default=None,
            help="What RATIO is a share of.",
        ),
        click.option(
            "--rounds",
            "compress__rounds",
            type=click.IntRange(min=1, max=20),
            default=None,
            help="Prune in so many steps, each with a fine-tune; every one removes at least a channel.",
        ),
        click.option(
            "--low-rank",
            "compress__low_rank",
            default=None,
            callback=_number_or_name,
            metavar="SHARE|energy|worst-group",
            help="Split layers into two thinner ones: to a share of the full rank, or as far as energy or the worst "
            "group's loss allows.",
        ),
        click.option(
            "--energy",
            "compress__energy",
            type=Number(min=0, max=1, min_open=True),
            default=None,
            help="Of --low-rank energy: share of the squared weights that every layer keeps.  [default: 0.95]",
        ),
        click.option(
            "--tolerance",
            "compress__tolerance",
            type=Number(min=0, min_open=True),
            default=None,
            metavar="NATS",
            help="Of --low-rank worst-group: by how much any group's mean loss may grow.  [default: 0.02]",
        ),
        click.option(
            "--sparsity",
            "compress__sparsity",
            type=_SHARE,
            default=None,
            metavar="RATIO",
            help="Set this share of single weights to 0, then fine-tune; a baseline for studies: no fewer operations, "
            "no speed. Example: --sparsity 0.8 --scope global",
        ),
        click.option(
            "--cluster",
            "compress__cluster",
            type=click.IntRange(min=2),
            default=None,
            metavar="VALUES",
            help="Weights of a layer share so many values: smaller when packed, no faster.",
        ),
        click.option(
            "--qat/--no-qat", "compress__qat", default=None, help="Fine-tune with quantization simulated; for --int8."
        ),
        click.option(
            "--int8",
            "compress__int8",
            type=click.Choice(WORDS),
            default=None,
            metavar="[static|dynamic]",
            help="INT8: static (calibrated), dynamic, or without a word dynamic for texts where TensorRT is no target, "
            "else static.",
        ),
        click.option(
            "--fp16/--no-fp16", "compress__fp16", default=None, help="Half precision, for devices that have it."
        ),
        click.option(
            "--calibration",
            "compress__calibration",
            default=None,
            help="Calibration recipe by name or path, or a file of rows to calibrate on (.csv, .npz, .parquet).",
        ),
        click.option(
            "--post",
            "debias__post",
            multiple=True,
            callback=lambda _ctx, _option, value: list(value) or None,
            metavar="METHOD",
            help=f"Debias the compressed file: {', '.join(POST_METHODS)}, in the order given; none for nothing.",
        ),
        click.option(
            "--repair/--no-repair",
            "compress__repair__enabled",
            default=None,
            help="Search for a compression that keeps every gate where one fails on validation rows.  "
            "[default: --repair]",
        ),
    ]
    for decorator in reversed(decorators):
        command = decorator(command)
    return command
