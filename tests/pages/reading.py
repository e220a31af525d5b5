"""What a page says to write into files and to type, in its order, and what it shows of the output."""

import re
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# A block is a file where the text before it ends with the file's name: "... `plan.yaml`:".
NAMED = re.compile(r"`([\w./-]+\.\w+)`:\n\n\Z")
PROMPT = "$ "


@dataclass(frozen=True)
class Written:
    """A file, as it stands in the page."""

    name: str
    text: str


@dataclass(frozen=True)
class Typed:
    """A command, the lines that the page shows of its output (`...` stands for what varies), and where it stands."""

    command: str
    shown: tuple[str, ...]
    line: int


def steps(page: Path) -> list[Written | Typed]:
    """All that the page says to do."""
    text, found = page.read_text(), []
    for fence in FENCE.finditer(text):
        language, block = fence.groups()
        before = text[: fence.start()]
        named = NAMED.search(before)
        if language == "console":
            found += typed(block, before.count("\n") + 2)
        elif named is not None:
            found.append(Written(named[1], block))
    return found


def typed(block: str, first_line: int) -> list[Typed]:
    """The commands of a console block; one that ends with a backslash goes on in the next line."""
    found: list[tuple[str, list[str], int]] = []
    for number, line in enumerate(block.splitlines(), first_line):
        if found and found[-1][0].endswith("\\") and not found[-1][1]:
            found[-1] = (f"{found[-1][0]}\n{line}", [], found[-1][2])
        elif line.startswith(PROMPT):
            found.append((line.removeprefix(PROMPT), [], number))
        else:
            assert found, f"line {number}: a console block begins with a command"
            found[-1][1].append(line)
    return [Typed(command, tuple(shown), number) for command, shown, number in found]
