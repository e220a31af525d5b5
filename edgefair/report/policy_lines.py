"""On which line of edgefair.yaml a gate's threshold stands: what a code review can point at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from edgefair.probe.bundles.gates import ABSOLUTE, ASKED
from edgefair.probe.regular import read_regular
from edgefair.yaml_text import MAX_BYTES, YamlTextError, parse_yaml

CONFIG = "edgefair.yaml"
_KEYS = {ABSOLUTE: "max_eo_gap", **{gate: key for key, gate in ASKED.items()}}


@dataclass(frozen=True)
class PolicyLines:
    """A config, and the lines of the keys of its policy.

    Attributes:
        file: its path as it was given.
        lines: key -> line, from 1: `` for the policy itself, `max_eo_gap`, `metrics.accuracy_difference`. Empty where
            the file was not read.
    """

    file: str = CONFIG
    lines: Mapping[str, int] = field(default_factory=dict)

    def of(self, gate: str) -> int:
        """The line of a gate's threshold; the policy's where a default or a device says it, else the first."""
        for key in (_KEYS.get(gate, ""), f"metrics.{gate}", ""):
            if key in self.lines:
                return self.lines[key]
        return 1


def policy_lines(config: Path, root: Path) -> PolicyLines:
    """The lines of a config; none where it cannot be read, as where it is not beside the report.

    Args:
        root: of the repository; a config in it is named by its path from there.
    """
    inside = config.absolute().is_relative_to(root)
    name = (config.absolute().relative_to(root) if inside else config).as_posix()
    try:
        text = read_regular(config, most=MAX_BYTES).decode()
        parse_yaml(text)
    except (OSError, UnicodeDecodeError, YamlTextError):
        return PolicyLines(name)
    lines = {}
    for place, node in _keys(yaml.compose(text, Loader=yaml.SafeLoader)):
        if place[:1] == ("policy",):
            lines[".".join(place[1:])] = node.start_mark.line + 1
    return PolicyLines(name, lines)


def _keys(node: yaml.Node | None, place: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], yaml.Node]]:
    """Every key of nested mappings with the keys that lead to it."""
    if not isinstance(node, yaml.MappingNode):
        return []
    found = []
    for key, value in node.value:
        here = (*place, str(key.value))
        found += [(here, key), *_keys(value, here)]
    return found
