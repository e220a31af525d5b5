"""What every result has in common."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar, Protocol, TypeVar, cast

from pydantic import TypeAdapter

Read = TypeVar("Read")


class Result(Protocol):
    """What a command returns, the same for every format.

    Attributes:
        schema: the name of its JSON, as `edgefair.report/2`.
        view: the module whose `render` shows it in a terminal; imported when it is needed.
    """

    schema: ClassVar[str]
    view: ClassVar[str]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types, with the schema's name under `schema`; no NaN."""
        ...


def read_fields(kind: type[Read], data: Mapping[str, Any]) -> Read:
    """The dataclass whose fields `data` holds, with those of its parts. Keys that are no field are passed over: a later
    version may write more of them.

    Raises:
        pydantic.ValidationError: a field is absent, or of another type.
        ValueError: a number that JSON has not (NaN).
    """
    found: Read = _reader(cast(Any, kind)).validate_json(json.dumps(data, allow_nan=False), strict=True)
    return found


@cache
def _reader(kind: Any) -> TypeAdapter[Any]:
    """What reads a dataclass; one for reports takes as long to make as many reports to read."""
    return TypeAdapter(kind)
