"""Which formats there are, and what they hold. Data: reading it imports nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# Schemas of what export and verify end with: a verdict, or the error that took its place.
REPORTS = frozenset(["edgefair.report"])
ENDINGS = REPORTS | {"edgefair.error"}


@dataclass(frozen=True)
class Known:
    """A format that there is.

    Attributes:
        home: module and class.
        holds: schemas of the results that it can hold, without their versions; empty for all.
        several: whether one document holds several results.
        shows_rows: whether it shows rows where a user asks for them: people's data.
    """

    home: str
    holds: frozenset[str] = frozenset()
    several: bool = True
    shows_rows: bool = False

    def can_hold(self, schema: str) -> bool:
        """Whether it holds results of this schema, as `edgefair.report/2`."""
        return not self.holds or schema.partition("/")[0] in self.holds


_AT = "edgefair.report.formats"
FORMATS: Mapping[str, Known] = {
    "terminal": Known(f"{_AT}.terminal:Terminal"),
    "json": Known(f"{_AT}.json:Json"),
    "html": Known(f"{_AT}.html:Html", shows_rows=True),
    "markdown": Known(f"{_AT}.markdown:Markdown", ENDINGS | {"edgefair.study-report"}),
    "junit": Known(f"{_AT}.junit:JUnit", ENDINGS),
    "github": Known(f"{_AT}.github:GitHub", ENDINGS),
    "gitlab-codequality": Known(f"{_AT}.gitlab_codequality:CodeQuality", REPORTS),
    "gitlab-metrics": Known(f"{_AT}.gitlab_metrics:Metrics", REPORTS),
    "sarif": Known(f"{_AT}.sarif:Sarif", REPORTS),
    "card": Known(f"{_AT}.card:Card", REPORTS, several=False),
    "cyclonedx": Known(f"{_AT}.cyclonedx:CycloneDX", REPORTS),
    "badge": Known(f"{_AT}.badge:Badge", REPORTS, several=False),
}
