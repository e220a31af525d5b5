"""Names come from users' files and from devices: what they hold is shown, and never obeyed."""

from __future__ import annotations

import re

# Letters without a shape, beside those that Python calls unprintable (Unicode's Default_Ignorable_Code_Point).
_SHAPELESS = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
# What begins a formula or moves to another cell (https://owasp.org/www-community/attacks/CSV_Injection).
_FORMULA = re.compile(r"\s*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def one_line(text: str) -> str:
    r"""The text for a terminal, a log or a picture: line breaks, controls and invisible letters as `\x1b`."""
    if text.isprintable() and not _SHAPELESS.search(text):
        return text
    return "".join(_visible(letter) for letter in text)


def _visible(letter: str) -> str:
    if letter.isprintable() and not _SHAPELESS.match(letter):
        return letter
    return letter.encode("unicode_escape").decode()


def csv_cell(text: str) -> str:
    """The text for a cell that a spreadsheet may open: what could be a formula has an apostrophe before it.

    Numbers stay numbers.
    """
    if _FORMULA.match(text) and not _NUMBER.fullmatch(text):
        return f"'{text}"
    return text
