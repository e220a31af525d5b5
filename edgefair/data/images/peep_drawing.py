"""One drawn person: options -> SVG (dicebear-core) -> pixels (resvg)."""

from __future__ import annotations

import importlib
import io
import json
from functools import lru_cache
from importlib import metadata, resources
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgefair.data.images.peeps import EXPRESSIONS, TONES
from edgefair.errors import missing_extra

PACKAGES = ("dicebear-core", "dicebear-styles", "resvg-py")
# How far a head is from the middle (per cent of the picture), how large and how turned (degrees).
PLACE: dict[str, Any] = {"scale": [0.85, 1.1], "rotate": [-15, 15], "translateX": [-6, 6], "translateY": [-6, 6]}
# A mask hides what is to be told.
HIDDEN: dict[str, Any] = {"maskProbability": 0, "backgroundColor": "#ffffff"}


def versions() -> tuple[str, ...]:
    """Releases of the packages that draw: others may draw other pixels.

    They are not imported: where every picture is drawn already, nobody needs to wait for them.

    Raises:
        UsageError: one is not installed.
    """
    try:
        return tuple(metadata.version(name) for name in PACKAGES)
    except ImportError as error:
        raise missing_extra("the set `peeps`", "peeps", error) from error


def draw(expression: int, tone: int, seed: int, size: int) -> NDArray[np.uint8]:
    """The picture of one person, who has a head, clothes and place of their own: uint8 [size, size, 3].

    Args:
        expression: index into `EXPRESSIONS`.
        tone: index into `TONES`.
        seed: of the person.
        size: height and width, in pixels.

    Raises:
        UsageError: a package that draws cannot be imported.
    """
    avatar, resvg, style = _packages()
    options = {
        "seed": f"{seed:016x}",
        "expressionVariant": EXPRESSIONS[expression],
        "skinColor": [*TONES.values()][tone],
        **PLACE,
        **HIDDEN,
    }
    svg = avatar(style, options).to_string()
    png = resvg.svg_to_bytes(svg_string=svg, width=size, height=size, skip_system_fonts=True)
    with Image.open(io.BytesIO(png)) as picture:
        return np.asarray(picture.convert("RGB"), dtype=np.uint8)


@lru_cache(maxsize=1)
def _packages() -> tuple[Any, Any, Any]:
    """What makes a drawing of options, what makes pixels of it, and the drawings."""
    try:
        dicebear, resvg = importlib.import_module("dicebear"), importlib.import_module("resvg_py")
        text = resources.files("dicebear_styles").joinpath("open-peeps.json").read_text("utf-8")
    except ImportError as error:
        raise missing_extra("the set `peeps`", "peeps", error) from error
    return dicebear.Avatar, resvg, dicebear.Style(json.loads(text))
