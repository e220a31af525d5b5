"""The bytes of a picture file -> a picture of the model's size, by Pillow."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgefair.data.images.pixel_budget import PixelBudget
from edgefair.probe.inputs.pictures import MAX_PIXELS, centre, resized
from edgefair.probe.onnx_files.spec import PictureSpec

if TYPE_CHECKING:
    from PIL.Image import Image

# What is opened. Formats that run other programs or that are documents are not pictures of a data set.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
TOO_LARGE = f"more than {MAX_PIXELS:,} pixels"
BUDGET = PixelBudget(MAX_PIXELS)
BAND_PIXELS = 1 << 22
# What Pillow raises on damaged files of one format or another.
DAMAGED = (OSError, SyntaxError, ValueError, EOFError, KeyError, IndexError, TypeError, OverflowError, struct.error)
JPEG_SCAN, JPEG_END = b"\xff\xda", b"\xff\xd9"


class UnreadableError(Exception):
    """A file that holds no picture that can be used; the message says why in a few words."""


def examine(content: bytes) -> None:
    """Find what can be found without decoding: its size, checksums of PNG, the end marker of JPEG; others are decoded.

    Raises:
        UnreadableError: empty, truncated, corrupt, or not a picture.
    """
    with _open(content) as picture:
        try:
            if picture.format == "PNG":
                picture.verify()
            elif picture.format == "JPEG":
                if content.rfind(JPEG_END) < content.rfind(JPEG_SCAN):
                    raise UnreadableError("truncated picture")
            else:
                with BUDGET.taken(picture.width * picture.height):
                    picture.load()
        except DAMAGED as error:
            raise UnreadableError("truncated or corrupt picture") from error


def decode(content: bytes, spec: PictureSpec) -> NDArray[np.uint8]:
    """The picture as the model gets it: uint8 [height, width, channels].

    The first frame of an animation, turned as EXIF says, over white where it is transparent, 16 bits cut to 8, in RGB
    or grey, resized as the spec says (the same bytes as `probe.inputs.pictures.fit` makes of the decoded picture).

    Raises:
        UnreadableError: it cannot be decoded, or is too small for the part that the spec cuts out.
    """
    with _open(content) as picture:
        try:
            # Turning it upright, as EXIF may say, changes its sides: the larger of both cases is judged.
            resized(picture.height, picture.width, spec)
            resized(picture.width, picture.height, spec)
        except ValueError as error:
            raise UnreadableError(str(error)) from error
        with BUDGET.taken(picture.width * picture.height):
            return _fit(_upright(picture, spec.channels), spec)


def resized_pixels(pixels: NDArray[np.uint8], spec: PictureSpec) -> NDArray[np.uint8]:
    """A picture uint8 [any height, any width, 3] as the model gets it: uint8 [height, width, channels]."""
    from PIL import Image

    return _fit(Image.fromarray(pixels).convert("RGB" if spec.channels == 3 else "L"), spec)


def _fit(picture: Image, spec: PictureSpec) -> NDArray[np.uint8]:
    try:
        height, width = resized(picture.height, picture.width, spec)
        top, left = centre(height, width, spec)
    except ValueError as error:
        raise UnreadableError(str(error)) from error
    # Two calls, because which side Pillow resizes first depends on its version and rounding depends on the order.
    resample = _resampling(spec.resample)
    if width != picture.width:
        picture = picture.resize((width, picture.height), resample)
    if height != picture.height:
        picture = picture.resize((width, height), resample)
    pixels = np.asarray(picture, dtype=np.uint8).reshape(height, width, spec.channels)
    return pixels[top : top + spec.height, left : left + spec.width]


def decoded(content: bytes, channels: int) -> Image:
    """The whole picture, upright, in RGB (3 channels) or grey (1).

    Raises:
        UnreadableError: it cannot be decoded.
    """
    with _open(content) as picture, BUDGET.taken(picture.width * picture.height):
        return _upright(picture, channels)


def _upright(picture: Image, channels: int) -> Image:
    """A picture that was opened, decoded, turned and without transparency."""
    from PIL import ImageOps

    try:
        picture.load()
        ImageOps.exif_transpose(picture, in_place=True)
        plain, mode = _opaque(picture), "RGB" if channels == 3 else "L"
        return plain if plain.mode == mode else plain.convert(mode)
    except DAMAGED as error:
        raise UnreadableError("truncated or corrupt picture") from error


def _open(content: bytes) -> Image:
    from PIL import Image

    if not content:
        raise UnreadableError("empty file")
    try:
        with warnings.catch_warnings():
            # Its size is judged below; damaged EXIF does not damage the picture.
            warnings.simplefilter("ignore")
            picture = Image.open(io.BytesIO(content), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise UnreadableError(TOO_LARGE) from error
    except DAMAGED as error:
        raise UnreadableError("not a readable picture") from error
    if picture.width * picture.height > MAX_PIXELS:
        raise UnreadableError(TOO_LARGE)
    return picture


def _opaque(picture: Image) -> Image:
    """Without transparency and with 8 bits per channel, band by band: a whole picture has room for few copies."""
    from PIL import Image

    if picture.mode.startswith("I"):
        deep = np.empty((picture.height, picture.width), dtype=np.uint8)
        for top, band in _bands(picture):
            deep[top : top + band.height] = (np.asarray(band) >> 8).clip(0, 255)
        return Image.fromarray(deep)
    if picture.mode == "F":
        raise UnreadableError("pixels are fractions without a known range")
    if picture.has_transparency_data:
        opaque = Image.new("RGB", picture.size)
        for top, band in _bands(picture):
            white = Image.new("RGBA", band.size, "white")
            opaque.paste(Image.alpha_composite(white, band.convert("RGBA")).convert("RGB"), (0, top))
        return opaque
    return picture


def _bands(picture: Image) -> Iterator[tuple[int, Image]]:
    """Parts of a picture with a few rows each: the number of the first, and the part."""
    rows = max(1, BAND_PIXELS // picture.width)
    for top in range(0, picture.height, rows):
        yield top, picture.crop((0, top, picture.width, min(top + rows, picture.height)))


def _resampling(name: str) -> int:
    from PIL import Image

    return Image.Resampling[name.upper()]
