"""Damage: the same seed gives the same damage."""

import copy
import json
import math
import string

NUMBERS = (0, -1, 1, 2, 0.5, 1e-300, 1e308, 2**31, 2**63 - 1, 2**63, 2**64, 10**30, -(10**30), math.nan, math.inf)
TEXTS = (
    *("", " ", "\0", "\x1b[31m", "\ud800", "[", "{", "a" * 5000, "../..", "/", "nan", "[/]", "=", "\u2028", "𝕏", "é"),
    *("/dev/zero", "/dev/null", "pipe", ".", "loop.yaml", "%s", "small.csv", "small.npz", "fair.onnx", "local", "sex"),
    *("2024-02-30", "2024-13-45", "0x10", "0b_", "1:60", "NaN", "~", "yes", "*", "&a", "{[a]: b}", "!!python/none"),
)
PLAIN = (None, True, False, [], {}, [[]], [1], {"a": 1}, ["a", "a"], {"": ""})
ODD = (*NUMBERS, *TEXTS, *PLAIN)
DEEP = 3000


def odd_value(rng):
    """A value that nobody would write; sometimes one of several thousand levels."""
    if rng.random() < 0.02:
        value = 1
        for _ in range(DEEP):
            value = [value]
        return value
    return copy.deepcopy(rng.choice(ODD))


def change_value(rng, value, *, times=None):
    """A copy of a JSON value in which one place or more holds something else, lacks a part or has one too many."""
    value = json.loads(json.dumps(value))
    root = {"root": value}
    for _ in range(times or rng.choice((1, 1, 1, 2, 4))):
        places = list(_places(root))
        holder, key = rng.choice(places)
        action = rng.random()
        if action < 0.6:
            holder[key] = odd_value(rng)
        elif action < 0.75 and (isinstance(holder, list) or len(places) > 1) and holder is not root:
            del holder[key]
        elif action < 0.85:
            other, name = rng.choice(places)
            holder[key] = json.loads(_dumped(other[name]))
        elif isinstance(holder, dict):
            holder[rng.choice(("extra", "", "a.b", "schema", str(key) + "x"))] = odd_value(rng)
        else:
            holder.append(odd_value(rng))
    return root["root"]


def _dumped(value):
    try:
        return json.dumps(value)
    except RecursionError:
        return "1"


def _places(holder):
    waiting = [holder]
    while waiting:
        item = waiting.pop()
        for key, value in item.items() if isinstance(item, dict) else enumerate(item):
            yield item, key
            if isinstance(value, dict | list) and len(str(key)) < 100 and value:
                waiting.append(value) if not is_deep(value) else None


def is_deep(value):
    """Whether a value is one of several thousand levels."""
    for _ in range(20):
        if not isinstance(value, list) or not value:
            return False
        value = value[0]
    return True


def to_json(value):
    """JSON text, whatever the value is."""
    try:
        return json.dumps(value).encode()
    except RecursionError:
        return b'{"deep": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"


def change_bytes(rng, content):
    """Bits turned, parts cut out, repeated, moved or replaced, numbers made large, the end missing."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        if not data:
            return bytes(rng.randbytes(rng.randrange(64)))
        at = rng.randrange(len(data))
        action = rng.randrange(9)
        if action <= 1:
            data[at] ^= 1 << rng.randrange(8)
        elif action == 2:
            data[at] = rng.choice((0, 1, 127, 128, 255))
        elif action == 3:
            del data[at : at + rng.choice((1, 2, 4, 16, 200))]
        elif action == 4:
            data[at:at] = rng.randbytes(rng.choice((1, 2, 4, 16)))
        elif action == 5:
            size = rng.choice((1, 4, 16, 64))
            data[at:at] = data[at : at + size] * rng.choice((1, 2, 50))
        elif action == 6:
            del data[at:]
        elif action == 7:
            width = rng.choice((2, 4, 8))
            large = rng.choice((0, 1, 2**15, 2**16 - 1)) if width == 2 else rng.choice((2**31 - 1, 2**31, 2**32 - 1, 0))
            data[at : at + width] = large.to_bytes(width, rng.choice(("little", "big")))
        else:
            other = rng.randrange(len(data))
            data[at : at + 16] = data[other : other + 16]
    return bytes(data)


def change_text(rng, text):
    """Characters, words and lines replaced, repeated or removed; sometimes another encoding. Bytes."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        lines = text.split("\n")
        at = rng.randrange(len(lines))
        action = rng.randrange(7)
        if action == 0:
            lines[at] = lines[at] + rng.choice(TEXTS)
        elif action == 1:
            lines.insert(at, lines[rng.randrange(len(lines))])
        elif action == 2:
            del lines[at]
        elif action == 3:
            words = lines[at].split(" ")
            words[rng.randrange(len(words))] = str(rng.choice((*NUMBERS, *TEXTS)))
            lines[at] = " ".join(words)
        elif action == 4 and lines[at]:
            place = rng.randrange(len(lines[at]))
            lines[at] = lines[at][:place] + rng.choice(string.printable) + lines[at][place + 1 :]
        elif action == 5 and ":" in lines[at]:
            lines[at] = lines[at].split(":")[0] + ": " + str(rng.choice((*NUMBERS, *TEXTS)))
        elif action == 6 and "," in lines[at]:
            cells = lines[at].split(",")
            cells[rng.randrange(len(cells))] = str(rng.choice((*NUMBERS, *TEXTS)))
            lines[at] = ",".join(cells)
        text = "\n".join(lines) or "x"
    encoding = rng.choice(("utf-8",) * 12 + ("utf-16", "latin-1", "utf-8-sig"))
    data = text.encode(encoding, errors=rng.choice(("replace", "surrogatepass")) if encoding == "utf-8" else "replace")
    return change_bytes(rng, data) if rng.random() < 0.1 else data
