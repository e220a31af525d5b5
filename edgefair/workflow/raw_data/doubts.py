"""What is doubtful about a feature, and the words for it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from edgefair.data.files.table import Categories, Column
from edgefair.data.survey.columns import ColumnFacts, facts_of, facts_over


@dataclass(frozen=True)
class Obstacle:
    """What stands in the way of using a file.

    Attributes:
        found: what and how many, and what to do about it.
        exclude: the column that need only be left out.
    """

    found: str
    exclude: str | None = None


def facts_beside(labels: Categories | None, name: str, column: Column) -> ColumnFacts:
    """What a feature holds, and whether it gives away the label, where every row has one."""
    if labels is None or labels.missing():
        return facts_of(name, column)
    return facts_over(name, [column], labels.codes, len(labels.values))


def doubts(found: ColumnFacts) -> Iterator[Obstacle]:
    """Why a column is not a feature as it is."""
    name = found.name
    if found.kind == "arrays" and found.missing:
        yield Obstacle(f"'{name}' has no finite number in {found.missing:,} of {found.rows:,} rows", name)
    elif found.infinite:
        yield Obstacle(f"'{name}' is infinite in {found.infinite:,} of {found.rows:,} rows", name)
    elif found.constant:
        yield Obstacle(f"'{name}' has the same value in every row", name)
    elif found.kind == "dates":
        yield Obstacle(
            f"'{name}' holds dates, and a model would learn each as a category: convert them to numbers such as days",
            name,
        )
    elif found.names_rows:
        valued = found.rows - found.missing
        why = f"for {found.evidence}" if found.evidence else "and the shipped file would contain them"
        yield Obstacle(
            f"'{name}' has {found.distinct:,} different values in {valued:,} rows: it identifies rows, {why}. Use --id "
            f"{shlex.quote(name)} if it is a row's id, --subject if a person's",
            name,
        )


def telling(found: ColumnFacts) -> Obstacle:
    """That a column gives the label away."""
    return Obstacle(
        f"'{found.name}' alone predicts the label (balanced accuracy {found.tells:.2f}): exclude it if it is "
        "recorded after the outcome",
        found.name,
    )
