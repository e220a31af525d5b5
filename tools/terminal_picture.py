"""Draw what a command really prints as an SVG of a terminal, for the README.

    python tools/terminal_picture.py PICTURE.svg [--folder FOLDER] [--lines N] [--columns N] -- COMMAND ...

The command runs in the folder, with colours and in a terminal of so many columns. The picture shows the command and the
first lines of its output; it loads no font from anywhere.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

# rich's own template asks a server for its font.
FONT_FACE = re.compile(r"@font-face \{.*?\}", re.DOTALL)
FONTS = 'ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace'


def printed(command: Sequence[str], folder: Path, *, columns: int) -> str:
    """What the command writes to stdout, with its colours.

    Raises:
        subprocess.CalledProcessError: it fails.
    """
    environment = {**os.environ, "FORCE_COLOR": "1", "TERM": "xterm-256color", "COLUMNS": str(columns)}
    done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def drawn(command: Sequence[str], output: str, *, columns: int, lines: int) -> str:
    """The SVG of a terminal with the command and the first lines of what it prints."""
    shown = output.splitlines()[:lines]
    console = Console(record=True, width=columns, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text(f"$ {shlex.join(command)}", style="bold"))
    for line in shown:
        console.print(Text.from_ansi(line.rstrip()), soft_wrap=False, overflow="crop", no_wrap=True)
    picture = console.export_svg(title="edgefair", theme=MONOKAI, unique_id="terminal")
    return FONT_FACE.sub("", picture).replace("Fira Code, monospace", FONTS) + "\n"


def main() -> None:
    """Run the command and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--folder", type=Path, default=Path())
    parser.add_argument("--lines", type=int, default=21)
    parser.add_argument("--columns", type=int, default=112)
    parser.add_argument("command", nargs="+")
    given = parser.parse_args()
    output = printed(given.command, given.folder, columns=given.columns)
    given.picture.parent.mkdir(parents=True, exist_ok=True)
    given.picture.write_text(drawn(given.command, output, columns=given.columns, lines=given.lines), encoding="utf-8")


if __name__ == "__main__":
    main()
