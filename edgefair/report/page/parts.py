"""What a page can hold."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from edgefair.report.charts.drawing import Drawing
from edgefair.report.escape import json_in_a_log


@dataclass(frozen=True)
class Mark:
    """An outcome in a cell of a table, in its colour and in its word."""

    word: str


Cell = str | Mark


@dataclass(frozen=True)
class Table:
    """Attributes: caption: what the rows are. numbers: positions of columns of numbers."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    numbers: frozenset[int] = frozenset()
    kind: str = field(default="table", init=False)


@dataclass(frozen=True)
class Chart:
    """A drawing, and the sentence below it. finding: what it shows, above it; empty where the section says so."""

    drawing: Drawing
    caption: str
    finding: str = ""
    kind: str = field(default="chart", init=False)


@dataclass(frozen=True)
class Listing:
    """Sentences, one below the other. heading: above them, where a section has several listings."""

    items: Sequence[str]
    heading: str = ""
    kind: str = field(default="listing", init=False)


@dataclass(frozen=True)
class Verbatim:
    """Text whose lines and spaces matter."""

    text: str
    label: str
    kind: str = field(default="verbatim", init=False)


@dataclass(frozen=True)
class More:
    """What is shown to whoever opens it."""

    summary: str
    blocks: Sequence[Block]
    kind: str = field(default="more", init=False)


@dataclass(frozen=True)
class Exhibit:
    """Something that was decided, to look at.

    Attributes:
        name: what it is known by.
        mark: what became of it.
        said: sentences about it.
        picture: a JPEG file.
        text: as it was read.
    """

    name: str
    mark: Mark
    said: Sequence[str]
    picture: bytes | None = None
    text: str | None = None

    @property
    def url(self) -> str:
        """The picture inside the page."""
        return "data:image/jpeg;base64," + base64.b64encode(self.picture or b"").decode()


@dataclass(frozen=True)
class Gallery:
    """Exhibits beside each other."""

    caption: str
    exhibits: Sequence[Exhibit]
    kind: str = field(default="gallery", init=False)

    @property
    def reads(self) -> bool:
        """Whether there are texts, which need wider columns than pictures."""
        return any(item.text is not None for item in self.exhibits)


Block = Table | Chart | Listing | Verbatim | More | Gallery


def as_json(summary: str, content: object) -> More:
    """JSON for whoever opens it; a log that shows the page obeys nothing in it."""
    return More(summary, [Verbatim(json_in_a_log(json.dumps(content, indent=1)), summary)])


@dataclass(frozen=True)
class Section:
    """A part of a page. sentence: what it shows, and what to do."""

    heading: str
    sentence: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Sheet:
    """One result.

    Attributes:
        outcome: PASS, FAIL, INCONCLUSIVE; empty for a result that is no verdict.
        headline: the verdict, or what this is.
        lead: what decided, in words.
        steps: what to do next.
        facts: name -> value.
        warning: what its keeper must know; empty where there is nothing.
    """

    title: str
    outcome: str
    headline: str
    lead: str
    steps: Sequence[str]
    facts: Sequence[tuple[str, str]]
    sections: Sequence[Section]
    warning: str = ""
