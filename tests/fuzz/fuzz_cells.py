"""Pictures and texts."""

import json
import struct
import zlib

import numpy as np

from tests.fuzz.fuzz_case import library
from tests.fuzz.fuzz_mutations import change_bytes, change_value, to_json


def pictures(rng, base, here):
    """Decoded for a model; a PNG, whose parts have checksums, is refused or gives the undamaged pixels."""
    from edgefair.data.images.decode import UnreadableError, decode, examine
    from edgefair.probe.onnx_files.spec import RESAMPLE, PictureSpec

    path = rng.choice(sorted((base / "pictures").iterdir()))
    content = path.read_bytes()
    bomb = rng.random() < 0.3
    damaged = _bomb(rng, content) if bomb else change_bytes(rng, content)
    (here / path.name).write_bytes(damaged)
    spec = PictureSpec(
        "p", 32, 32, channels=rng.choice((1, 3)), resample=rng.choice(RESAMPLE),
        shorter=rng.choice((None, 32, 224)),
    )  # fmt: skip
    found = []

    def call():
        examine(damaged)
        found.append(decode(damaged, spec))

    def honest():
        return path.suffix != ".png" or bomb or np.array_equal(found[0], decode(content, spec))

    return library(f"{path.name} {spec}", call, refusals=(UnreadableError,), honest=honest)


def _bomb(rng, content):
    """A PNG that claims to be large, rows of zeros behind it; or any other picture with other numbers in its head."""
    sides = (1, 2, 100, 8000, 30000, 65535, 500_000, 8_000_000, 60_000_000, 2**31 - 1)
    width, height = rng.choice(sides), rng.choice(sides)
    if not content.startswith(b"\x89PNG"):
        head = bytearray(content[:64])
        for _ in range(3):
            at = rng.randrange(4, 60)
            head[at : at + 2] = rng.choice((b"\xff\xff", b"\x7f\xff", b"\x00\x01", b"\xff\x3f"))
        return bytes(head) + content[64:]
    kind, depth = rng.choice(((0, 1), (0, 8), (0, 16), (2, 8), (2, 16), (3, 1), (4, 8), (6, 8), (6, 16)))
    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[kind]
    size = min(height * (1 + (width * samples * depth + 7) // 8), 120_000_000)
    squeeze = zlib.compressobj(1)
    rows = b"".join(squeeze.compress(bytes(1 << 20)) for _ in range(size >> 20)) + squeeze.compress(
        bytes(size % (1 << 20))
    )
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))]
    parts += [(b"PLTE", bytes(6)), (b"tRNS", b"\0")] if kind == 3 else []
    parts += [(b"IDAT", rows + squeeze.flush()), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in parts
    )


def tokenizer(rng, base, here):
    from edgefair.data.files.table import Categories
    from edgefair.data.texts import Texts, open_tokenizer
    from edgefair.probe.onnx_files.spec import InputSpec

    path = here / "tok" / rng.choice(("tokenizer.json", "tokenizer.json", "tokenizer_config.json"))
    content = path.read_bytes()
    change = rng.random() < 0.7
    path.write_bytes(to_json(change_value(rng, json.loads(content))) if change else change_bytes(rng, content))

    def call():
        found = open_tokenizer(here / "tok")
        texts = Texts(Categories.of(["a good day", "bad", "", "é \u2028"]), found)
        spec = found.spec(column="t", part="ids", length=4)
        texts.encoder(InputSpec("ids", "int64", tokens=spec))(0, 3)
        texts.longer_than(2)

    return library(path.name, call)
