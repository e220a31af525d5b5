"""What makes a key of the config a flag of the command line, too."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Flag:
    """Stands in the key's `Annotated` type; what is not said here is read from the key: type, choices, range, help.

    In a key's description, the name of another key in backticks becomes that key's flag in the help.

    Attributes:
        name: default: the key with hyphens.
        metavar: what the help calls the value.
        bare: the value of the flag without one.
        shows_default: whether the help says what holds where neither flag nor file says anything.
    """

    name: str | None = None
    metavar: str | None = None
    bare: str | None = None
    shows_default: bool = False
