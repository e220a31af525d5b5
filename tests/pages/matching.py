"""Whether an output is the one that a page shows: the same words, whole numbers and verdicts; measured numbers near by.

`...` alone in a line stands for any lines, inside a line for any text. Numbers with decimals may be others by 0.03 or
by a sixth, as processors round differently; spaces are one space.
"""

import re

ANYTHING = "..."
DECIMAL = re.compile(r"-?\d+\.\d+(?![\w.])")
NEAR, SHARE = 0.03, 1 / 6


def first_unlike(shown: list[str], output: list[str]) -> str | None:
    """The first line of the page that the output does not have at its place; None where all is as shown."""
    shown, output = (
        [" ".join(line.split()) for line in "\n".join(lines).rstrip().split("\n")] for lines in (shown, output)
    )
    reached = {0}
    for number, line in enumerate(shown):
        if line == ANYTHING:
            reached = set(range(min(reached), len(output) + 1))
        else:
            reached = {place + 1 for place in reached if place < len(output) and alike(line, output[place])}
        if not reached:
            return f"line {number + 1} of the output that is shown: {line}"
    return None if len(output) in reached else f"the end: more follows than {shown[-1] if shown else 'nothing'!r}"


def alike(shown: str, line: str) -> bool:
    """Whether one line is as shown."""
    parts = shown.split(ANYTHING)
    measured = [float(number) for part in parts for number in DECIMAL.findall(part)]
    words = [DECIMAL.sub("\0", part).split("\0") for part in parts]
    pattern = r".*?".join(rf"({DECIMAL.pattern})".join(map(re.escape, part)) for part in words)
    found = re.fullmatch(pattern, line)
    return found is not None and all(map(near, measured, map(float, found.groups())))


def near(left: float, right: float) -> bool:
    """Whether two measured numbers are one for a reader."""
    return abs(left - right) <= max(NEAR, SHARE * abs(left))
