"""YAML as plain values: what every file and flag of the user's is read by.

YAML can say more than a setting needs, and some of it is dangerous or ambiguous: aliases multiply (a file of 500 bytes
describes 10^9 values), keys can be given twice, NaN compares with nothing. All of that is an error here, with its line.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable
from typing import Any

import yaml

# Far above any config, and parsed in a second.
MAX_BYTES = 1 << 18
MAX_DEPTH = 32
# PyYAML's parser in C where it was built with it: the same values, ten times faster.
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
# What is not text without quotes, as YAML 1.2 has it. In YAML 1.1, PyYAML's, yes and NO (Norway) are booleans,
# 010 is 8, 1_0 is 10 and 1:30 is 90: labels and groups that no row of the data has.
_PLAIN = {
    f"{_TAG}bool": re.compile(r"(true|True|TRUE|false|False|FALSE)$"),
    f"{_TAG}int": re.compile(r"([-+]?(0|[1-9][0-9]*)|0x[0-9a-fA-F]+)$"),
    f"{_TAG}float": re.compile(
        r"([-+]?((0|[1-9][0-9]*)\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$"
    ),
}


class YamlTextError(ValueError):
    """Text that is not YAML, or says more than plain values; the message has line and column."""


def parse_yaml(text: str) -> Any:
    """None, booleans, int64, finite floats, text, lists, and dictionaries whose keys are given once.

    A date stays the text that it is, and so do yes, no, on, off, 01 and 1:30.

    Raises:
        YamlTextError: it is too long, too deep, not YAML, or something else than such values.
    """
    if len(text) > MAX_BYTES:
        raise YamlTextError(f"it has {len(text):,} characters, more than {MAX_BYTES:,}")
    if not _is_unicode(text):
        raise YamlTextError("it is not Unicode")
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - _Loader makes plain values alone
    except yaml.MarkedYAMLError as error:
        at = error.problem_mark or error.context_mark
        said = " ".join(part for part in (error.context, error.problem) if part)
        raise YamlTextError(f"line {at.line + 1}, column {at.column + 1}: {said}" if at else said) from error
    except yaml.YAMLError as error:
        raise YamlTextError(" ".join(str(error).split())) from error


class _Loader(_Base):  # type: ignore[misc]
    """Composes the nodes itself, event by event, so that what is refused is refused before it is built."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own way to set it
        first: [(tag, _PLAIN.get(tag, pattern)) for tag, pattern in resolvers if tag != f"{_TAG}timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def get_single_node(self) -> yaml.Node | None:
        """The one document of the text; None where it is empty."""
        self.get_event()
        node = None if self.check_event(yaml.StreamEndEvent) else self._document()
        if not self.check_event(yaml.StreamEndEvent):
            raise _refused("a second document", self.peek_event())
        return node

    def _document(self) -> yaml.Node:
        self.get_event()
        node = self._compose(0)
        self.get_event()
        return node

    def _compose(self, depth: int) -> yaml.Node:
        event: Any = self.get_event()
        start, end = event.start_mark, event.end_mark
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise _refused("an anchor or alias (& or *): write the value out", event)
        if depth > MAX_DEPTH:
            raise _refused(f"values in values, more than {MAX_DEPTH} deep", event)
        if isinstance(event, yaml.ScalarEvent):
            tag = self._tag(event, yaml.ScalarNode, event.value)
            return yaml.ScalarNode(tag, event.value, start, end, event.style)
        if isinstance(event, yaml.SequenceStartEvent):
            items = []
            while not self.check_event(yaml.SequenceEndEvent):
                items.append(self._compose(depth + 1))
            end = self.get_event().end_mark
            return yaml.SequenceNode(self._tag(event, yaml.SequenceNode, None), items, start, end)
        pairs = []
        while not self.check_event(yaml.MappingEndEvent):
            pairs.append((self._compose(depth + 1), self._compose(depth + 1)))
        end = self.get_event().end_mark
        return yaml.MappingNode(self._tag(event, yaml.MappingNode, None), pairs, start, end)

    def _tag(self, event: Any, kind: type[yaml.Node], value: str | None) -> str:
        if event.tag in {None, "!"}:
            return str(self.resolve(kind, value, event.implicit))
        if event.tag == _TAG + "str" and kind is yaml.ScalarNode:
            return str(event.tag)
        raise _refused(f"the tag {event.tag!r}, which is not read here", event)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """The value of a node."""
        try:
            value = super().construct_object(node, deep)
        except (ValueError, OverflowError) as error:
            raise _refused(f"{str(node.value)[:40]!r}, which is not a value ({error})", node) from error
        if isinstance(value, float) and not math.isfinite(value):
            raise _refused(f"{node.value!r}, which is not a finite number", node)
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise _refused("a whole number of more than 64 bits", node)
        if isinstance(value, str) and ("\0" in value or not _is_unicode(value)):
            raise _refused("text with a NUL or half of a character", node)
        return value

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """The keys and values of a node, every key once."""
        self.flatten_mapping(node)
        found: dict[Hashable, Any] = {}
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise _refused("a list or mapping as a key", key_node)
            if key in found:
                raise _refused(f"the key {key!r} a second time", key_node)
            found[key] = self.construct_object(value_node, deep=deep)
        return found


def _refused(what: str, at: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=f"it holds {what}", problem_mark=at.start_mark)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
