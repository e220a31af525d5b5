"""Make edgefair/data/sets/emoji_people.parquet: python tools/rebuild_emoji.py SOURCE [--check].

SOURCE has the columns vendor, code, emoji, subcategory, presentation, skin_tone (1 to 5) and image (PNG, 64 x 64,
RGBA), made of the npm packages emoji-datasource-google and emoji-datasource-twitter 16.0.0. The pictures are put on
white and stored as lossless WebP. Everything is compared with the source, pixel by pixel and value by value, before it
is written.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
from PIL import Image

TARGET = Path(__file__).parent.parent / "edgefair" / "data" / "sets" / "emoji_people.parquet"
COLUMNS = ("vendor", "code", "emoji", "subcategory", "presentation", "skin_tone")


def main() -> None:
    """Rebuild or check the set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("--check", action="store_true", help="compare the set that is there, and write nothing")
    options = parser.parse_args()
    source = pyarrow.parquet.read_table(options.source)
    made = pyarrow.parquet.read_table(TARGET) if options.check else rebuilt(source)
    differences = compare(source, made)
    if differences:
        sys.exit(f"{differences} rows differ from the source")
    if not options.check:
        encodings = {name: "PLAIN" for name in made.column_names if name == "image"}
        pyarrow.parquet.write_table(
            made, TARGET, compression={name: "NONE" if name == "image" else "ZSTD" for name in made.column_names},
            use_dictionary=[name for name in made.column_names if name != "image"], column_encoding=encodings,
            write_statistics=False,
        )  # fmt: skip
    print(f"{made.num_rows} rows equal the source; {TARGET.stat().st_size:,} bytes")


def rebuilt(source: pyarrow.Table) -> pyarrow.Table:
    """The set, from its source."""
    columns: dict[str, Any] = {name: source.column(name).cast(pyarrow.string()) for name in COLUMNS}
    columns["image"] = pyarrow.array([webp(content) for content in source.column("image").to_pylist()])
    return pyarrow.table(columns)


def compare(source: pyarrow.Table, made: pyarrow.Table) -> int:
    """Number of rows whose values or pixels differ."""
    differs = np.zeros(source.num_rows, dtype=bool)
    for name in COLUMNS:
        differs |= np.array(source.column(name).cast(pyarrow.string()).to_pylist()) != np.array(
            made.column(name).to_pylist()
        )
    pictures = zip(source.column("image").to_pylist(), made.column("image").to_pylist(), strict=True)
    for row, (png, webp_bytes) in enumerate(pictures):
        differs[row] |= not np.array_equal(np.asarray(on_white(png)), np.asarray(Image.open(io.BytesIO(webp_bytes))))
    return int(differs.sum())


def webp(content: bytes) -> bytes:
    """A picture on white as lossless WebP."""
    stream = io.BytesIO()
    on_white(content).save(stream, "WEBP", lossless=True, quality=100, method=6)
    return stream.getvalue()


def on_white(content: bytes) -> Image.Image:
    """RGB, white where the picture is transparent."""
    picture = Image.open(io.BytesIO(content)).convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")


if __name__ == "__main__":
    main()
