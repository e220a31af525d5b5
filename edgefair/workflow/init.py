"""The first edgefair.yaml of a project, filled in from its data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

TEMPLATE = """\
# edgefair: may this compressed model ship? Every key can be overridden by a flag or by --set KEY=VALUE.
# Keys that are left out have defaults; `edgefair init --schema` prints them all.
project: {project}
seed: 0

data:
{data}
  # validation rows come out of train; calibration rows are drawn from train; audit rows decide, and nothing else
  validation: 0.1

model:
  network: mlp              # or package.module:factory, importable from this folder
  options: {{hidden: [128, 64]}}
  threshold: 0.5            # decide the positive class at this probability; part of the exported file

train:
  epochs: 4

debias:
  train: []                 # for example [reweigh, eo-penalty]; `edgefair train --debias ...` overrides it

compress:
  calibration: int8-balanced  # which training rows set the INT8 ranges; a name in calibration/ or a path

targets: [local]            # where the exported file is measured; the worst device decides

policy:
  max_eo_gap: 0.05          # largest equalized-odds gap that may ship
  alpha: 0.05               # PASS claims "every difference is at most max_eo_gap" with confidence 1 - alpha
  min_balanced_accuracy: {floor}  # floor for the worst group: a gap can be closed by making everybody worse
  max_accuracy_drop: 0.02   # against the same model before compression
  attributes:               # every group that may occur; one that is not declared is an error
{attributes}
"""


def render_config(
    *,
    project: str,
    data: Mapping[str, Any],
    groups: Mapping[str, Sequence[str]],
    floor: float,
) -> str:
    """The text of edgefair.yaml.

    Args:
        project: name of the project.
        data: keys of the `data:` section.
        groups: sensitive attribute to gate -> its declared groups.
        floor: least balanced accuracy of the worst group.
    """
    return TEMPLATE.format(
        project=project,
        data="\n".join(f"  {key}: {_flow(value)}" for key, value in data.items()),
        attributes="\n".join(
            f"    {_flow(name)}: {{groups: {_flow(list(values))}}}" for name, values in groups.items()
        ),
        floor=floor,
    )


def _flow(value: Any) -> str:
    """One YAML value on one line (JSON is YAML), bare where a word needs no quotes."""
    if isinstance(value, str) and value.replace("-", "").replace("_", "").isalpha() and value.lower() not in WORDS:
        return value
    return json.dumps(value, ensure_ascii=False)


# YAML 1.1 reads these as something other than text.
WORDS = frozenset({"yes", "no", "on", "off", "true", "false", "null", "y", "n"})
