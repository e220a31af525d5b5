"""The recipe of `edgefair export` as flags."""

from __future__ import annotations

from edgefair.cli.config_flags import section_flags
from edgefair.cli.options import Decorated, with_all
from edgefair.compress.config import CompressConfig
from edgefair.training.settings import DebiasConfig


def compress_options(command: Decorated) -> Decorated:
    """The flags of the recipe, in the order in which the steps are carried out, the repair last."""
    *recipe, repair = section_flags(CompressConfig, "compress")
    return with_all(command, [*recipe, *section_flags(DebiasConfig, "debias"), repair])
