"""The blocks of code of README, docs and the pages for contributors, with where they stand."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
OF_CONTRIBUTORS = ("CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md")
DOCUMENTS = (ROOT / "README.md", *(ROOT / name for name in OF_CONTRIBUTORS), *sorted((ROOT / "docs").rglob("*.md")))
FENCE = re.compile(r"^( *)```(.*)\n((?:.*\n)*?)\1```$", re.MULTILINE)
PROMPT = "$ "


@dataclass(frozen=True)
class Block:
    """A fenced block; `line` is the one of its fence, from 1."""

    document: Path
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.document.relative_to(ROOT)}:{self.line}"


def blocks_of(document: Path) -> list[Block]:
    text = document.read_text()
    return [
        Block(document, text.count("\n", 0, found.start()) + 1, found[2].strip(), found[3])
        for found in FENCE.finditer(text)
    ]


BLOCKS = [block for document in DOCUMENTS if "_build" not in document.parts for block in blocks_of(document)]


def in_language(*languages: str) -> list[Block]:
    return [block for block in BLOCKS if block.language in languages]


def commands_of(block: Block) -> list[str]:
    """What a block says to type: one line each; of a console those behind a prompt, without the output."""
    lines = re.sub(r"\\\n\s*", "", block.text).splitlines()
    if block.language == "console":
        lines = [line.removeprefix(PROMPT) for line in lines if line.startswith(PROMPT)]
    return [part.strip() for line in lines for part in line.split(" && ") if part.strip()]
