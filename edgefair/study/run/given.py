"""The plan that a user names, and the project that it studies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from edgefair.config import Config, load_config
from edgefair.errors import UsageError
from edgefair.probe.regular import read_regular
from edgefair.resources import named_file
from edgefair.study.plan import Plan
from edgefair.study.reading import read_plan
from edgefair.yaml_text import MAX_BYTES, YamlTextError, parse_yaml

PLANS = "deploy/studies"
# Before a key of `--set` that is of the plan, and not of the project that it studies.
OF_PLAN = "plan."


@dataclass(frozen=True)
class Given:
    """A plan as it was written, and what it means.

    Attributes:
        text: the YAML.
        config: the project's, with the settings of the plan.
    """

    text: str
    plan: Plan
    config: Config


def open_plan(name_or_path: str, overrides: Mapping[str, Any] | None = None) -> Given:
    """A plan that ships, by its name, or a file.

    Args:
        overrides: keys of the project that are other, over the plan's own `settings`; with `plan.` before them, of the
            plan itself, which is then another one.

    Raises:
        UsageError, DataError, PolicyError: no such plan, one that cannot be run, or a project that cannot be read.
    """
    path = named_file(PLANS, name_or_path, what="study")
    try:
        text = read_regular(path, most=MAX_BYTES).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"no plan '{path}': {error}",
            expected="a study's .yaml file",
            fix="`edgefair study --list` names those that ship",
        ) from error
    asked = dict(overrides or {})
    own = {name.removeprefix(OF_PLAN): asked.pop(name) for name in [*asked] if name.startswith(OF_PLAN)}
    text = _changed(text, own) if own else text
    plan = read_plan(text, source=str(path))
    config = load_config(path.parent / plan.config, {**plan.settings, **asked})
    if len(config.targets) > 1:
        raise UsageError(
            f"the project has {len(config.targets)} targets, and a study measures on one",
            fix="name it under `settings` of the plan: {targets: [local]}",
        )
    return Given(text, plan, config)


def _changed(text: str, own: Mapping[str, Any]) -> str:
    """A plan with other keys, as YAML; one that is no YAML as it is, for its reader to say so."""
    try:
        raw = parse_yaml(text)
    except YamlTextError:
        return text
    if not isinstance(raw, dict):
        return text
    for key, value in own.items():
        *folders, last = key.split(".")
        place = raw
        for folder in folders:
            place = place.setdefault(folder, {})
            if not isinstance(place, dict):
                raise UsageError(f"--set {OF_PLAN}{key}: '{folder}' holds no keys")
        place[last] = value
    return yaml.safe_dump(raw, sort_keys=False, allow_unicode=True)
