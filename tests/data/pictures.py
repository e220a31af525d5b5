"""Small real pictures and a small real tokenizer."""

import csv
import io
from pathlib import Path

import numpy as np
from PIL import Image


def jpeg(number: int, side: int = 20) -> bytes:
    """A picture that no other number gives."""
    rng = np.random.default_rng(number)
    pixels = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
    pixels[4:-4, 4:-4, 0] = number % 256
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def write_faces(folder: Path, *, rows: int, name: str = "face-{}.jpg", sexes=None, also=()) -> list[str]:
    """faces.csv (path, smiling, sex) beside pictures/; the rows `also` name pictures that are not written."""
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    paths = [name.format(row) for row in range(rows)]
    for row, path in enumerate(paths):
        (folder / "pictures" / path).write_bytes(jpeg(row))
    lines = [
        (path, "yes" if row % 2 else "no", sexes[row] if sexes else "FM"[row // 2 % 2])
        for row, path in enumerate(paths)
    ]
    with (folder / "faces.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("path", "smiling", "sex"), *lines, *also])
    return paths


def make_tokenizer(folder: Path) -> None:
    """A WordLevel tokenizer of a few words, saved as save_pretrained does."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["the", "a", "good", "bad", "cat", "dog", "sat", "there", "very", "you", "they", "nice", "awful"]
    vocabulary = {word: index for index, word in enumerate(["[PAD]", "[UNK]", *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(folder)
