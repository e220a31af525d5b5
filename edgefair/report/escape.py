"""Names come from users' files and from devices: what they hold is shown, and never obeyed."""

from __future__ import annotations

import re

# Letters without a shape, beside those that Python calls unprintable (Unicode's Default_Ignorable_Code_Point).
_SHAPELESS = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
# What a CI system that reads the log obeys: GitHub's `::error::`, also behind spaces; `##[error]`, `##vso[...]` and
# `##teamcity[...]` anywhere (https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions).
_COMMAND = re.compile(
    r":(?=:(?:error|warning|notice|debug|(?:end)?group|echo|(?:add|remove|stop|save|set|internal)-[a-z-]+)\b)"
    r"|#(?=#[a-z]*\[)",
    re.IGNORECASE,
)
_HASHES = re.compile(r"#(?=#[a-z]*\[)", re.IGNORECASE)
# What begins a formula or moves to another cell (https://owasp.org/www-community/attacks/CSV_Injection).
_FORMULA = re.compile(r"\s*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def one_line(text: str) -> str:
    r"""The text for a terminal, a log or a picture: line breaks, controls and invisible letters as `\x1b`.

    So is the first letter of what a CI system would take for a command.
    """
    return "".join(shown_letters(text))


def shown_letters(text: str) -> list[str]:
    """What `one_line` shows for every letter."""
    plain = text.isprintable() and not _SHAPELESS.search(text)
    letters = list(text) if plain else [_visible(letter) for letter in text]
    for found in _COMMAND.finditer(text):
        letters[found.start()] = f"\\x{ord(found[0]):x}"
    return letters


def _visible(letter: str) -> str:
    if letter.isprintable() and not _SHAPELESS.match(letter):
        return letter
    return letter.encode("unicode_escape").decode()


# What Markdown, HTML in it, or GitHub's and Hugging Face's readers of it give a meaning (CommonMark 0.31, section 2.4;
# GitHub's extensions: tables, autolinks, mentions, mathematics, emoji).
_MARKDOWN = re.compile(r"[&<>|`*_~\[\]#!\\@$^{}]|:(?=[^ ])|(?<=www)\.|^[-+=]|(?<=\d)[.)](?=\s|$)", re.IGNORECASE)


def markdown(text: str) -> str:
    """The text for Markdown: entities of what would be obeyed, which no reader of it takes for markup."""
    return _MARKDOWN.sub(lambda found: f"&#{ord(found[0])};", one_line(text).strip())


def json_in_a_log(text: str) -> str:
    """JSON that means the same, and in a log is no command to a CI system: no line of JSON begins with `::`."""
    return _HASHES.sub(r"\\u0023", text)


def csv_cell(text: str) -> str:
    """The text for a cell that a spreadsheet may open: what could be a formula has an apostrophe before it.

    Numbers stay numbers.
    """
    if _FORMULA.match(text) and not _NUMBER.fullmatch(text):
        return f"'{text}"
    return text
