"""Which release a bundle is, and which one a device demands: an older one is signed just as well, and wrong."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any, Mapping, Optional


class DemandError(Exception):
    """A bundle that is not the release that was demanded; what was found and what was demanded."""


@dataclass(frozen=True)
class Release:
    """Which release a bundle is.

    project: its name. policy: sha256 of the policy that judged it. created: when it was judged, ISO 8601.
    counter: number of the release, if its maker counts them.
    """

    project: str
    policy: str
    created: str
    counter: Optional[int] = None

    @classmethod
    def of(cls, said: Mapping[str, Any], policy: Any) -> "Release":
        """From the keys project, created and counter of a manifest or a statement.

        Raises:
            ValueError: a key missing, or of another type.
        """
        project, created, counter = said.get("project"), said.get("created"), said.get("counter")
        if not all(isinstance(item, str) for item in (project, created, policy)):
            raise ValueError("it does not say its project, its policy and when it was judged: export it again")
        if counter is not None and (type(counter) is not int or counter < 0):
            raise ValueError(f"its counter is {counter!r}, not a whole number")
        moment(str(created))
        return cls(str(project), str(policy), str(created), counter)


@dataclass(frozen=True)
class Demands:
    """What a device demands of a release; None where anything will do.

    not_before: a date or a moment, ISO 8601, UTC if it does not say. counter: the least.

    Raises:
        ValueError: a moment that cannot be read.
    """

    project: Optional[str] = None
    policy: Optional[str] = None
    not_before: Optional[str] = None
    counter: Optional[int] = None

    def __post_init__(self) -> None:
        if self.not_before is not None:
            moment(self.not_before)

    def check(self, release: Release) -> None:
        """Refuse another release than was demanded.

        Raises:
            DemandError: the first demand that it does not meet.
        """
        if self.project not in (None, release.project):
            raise DemandError(f"it is a release of project '{release.project}', and '{self.project}' was required")
        if self.policy is not None and self.policy.lower() != release.policy:
            raise DemandError(f"it was judged by policy {release.policy}, and {self.policy} was required")
        if self.not_before is not None and moment(release.created) < moment(self.not_before):
            raise DemandError(f"it was judged at {release.created}, and not before {self.not_before} was required")
        if self.counter is not None and (release.counter is None or release.counter < self.counter):
            has = "has no counter" if release.counter is None else f"is release {release.counter}"
            raise DemandError(f"it {has}, and release {self.counter} or later was required")


def moment(text: str) -> datetime.datetime:
    """A date or a moment in ISO 8601.

    Raises:
        ValueError: something else.
    """
    try:
        found = datetime.datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith(("Z", "z")) else text)
        utc = datetime.timezone.utc
        return found.replace(tzinfo=utc) if found.tzinfo is None else found.astimezone(utc)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"'{text[:60]}' is not a date or moment (2026-01-31, or 2026-01-31T12:00:00+00:00)") from error
