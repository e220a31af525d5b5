"""Picture files as they come."""

import io

import numpy as np
import pytest
from PIL import Image

from edgefair.data.images.decode import UnreadableError, decode, decoded, examine
from edgefair.probe.onnx_files.spec import PictureSpec

SPEC = PictureSpec("face", 6, 6)


def encode(picture, kind, **options):
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def colour(value, size=(6, 6), mode="RGB"):
    return Image.new(mode, size, value)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (encode(colour((10, 200, 30)), "PNG"), (10, 200, 30)),
        (encode(colour((10, 200, 30)), "BMP"), (10, 200, 30)),
        (encode(colour((10, 200, 30)), "WEBP", lossless=True), (10, 200, 30)),
        (encode(colour((10, 200, 30)), "TIFF"), (10, 200, 30)),
        (encode(colour(77, mode="L"), "PNG"), (77, 77, 77)),
        (encode(colour(1, mode="1"), "PNG"), (255, 255, 255)),
        (encode(colour((10, 200, 30)).quantize(4), "PNG"), (10, 200, 30)),
        (encode(colour((10, 200, 30, 0), mode="RGBA"), "PNG"), (255, 255, 255)),
        (encode(colour((0, 0, 0, 128), mode="RGBA"), "PNG"), (127, 127, 127)),
        (encode(colour((40, 128), mode="LA"), "PNG"), (147, 147, 147)),
        (encode(Image.fromarray(np.full((6, 6), 40_000, dtype=np.uint16)), "PNG"), (156, 156, 156)),
        (encode(Image.fromarray(np.full((6, 6), 40_000, dtype=np.uint16)), "TIFF"), (156, 156, 156)),
    ],
    ids=[
        "png",
        "bmp",
        "webp",
        "tiff",
        "grey",
        "black-and-white",
        "palette",
        "transparent",
        "half",
        "grey-half",
        "16-bit",
        "16-bit-tiff",
    ],
)
def test_every_kind_of_picture_becomes_rgb_over_white(content, expected):
    examine(content)
    assert np.array_equal(decode(content, SPEC)[3, 3], expected)


def test_cmyk_is_converted():
    content = encode(Image.new("CMYK", (6, 6), (255, 0, 0, 0)), "JPEG", quality=95)
    examine(content)
    red, green, blue = decode(content, SPEC)[3, 3].tolist()
    assert red < 30
    assert min(green, blue) > 200


def test_of_an_animation_the_first_frame_is_taken():
    content = encode(colour("red"), "GIF", save_all=True, append_images=[colour("blue")])
    examine(content)
    assert np.array_equal(decode(content, SPEC)[0, 0], (255, 0, 0))


def test_a_photograph_is_turned_as_its_exif_says():
    picture = Image.new("RGB", (8, 4))
    picture.paste((250, 0, 0), (0, 0, 4, 4))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate 90 degrees clockwise to view
    upright = decoded(encode(picture, "PNG", exif=exif), 3)
    assert upright.size == (4, 8)
    assert upright.getpixel((2, 0)) == (250, 0, 0)
    assert upright.getpixel((2, 7)) == (0, 0, 0)


def test_grey_models_get_one_channel():
    assert decode(encode(colour((10, 200, 30)), "PNG"), PictureSpec("face", 4, 5, channels=1)).shape == (4, 5, 1)


WHOLE = {
    kind: encode(Image.fromarray(np.random.default_rng(1).integers(0, 256, (40, 40, 3), dtype=np.uint8)), kind)
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP")
}


@pytest.mark.parametrize("kind", sorted(WHOLE))
@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_a_truncated_file_is_found_before_it_is_used(kind, share):
    examine(WHOLE[kind])
    with pytest.raises(UnreadableError):
        examine(WHOLE[kind][: int(share * len(WHOLE[kind]))])


def test_a_flipped_bit_in_a_png_is_found():
    content = bytearray(WHOLE["PNG"])
    content[len(content) // 2] ^= 4
    with pytest.raises(UnreadableError, match="truncated or corrupt"):
        examine(bytes(content))


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"", "empty file"), (b"not a picture", "not a readable picture"), (b"%!PS-Adobe", "not a readable picture")],
)
def test_what_is_no_picture_says_so(content, why):
    with pytest.raises(UnreadableError, match=why):
        examine(content)


def test_a_file_that_claims_to_be_huge_is_not_opened():
    header = bytearray(encode(colour("red", size=(1, 1)), "BMP"))
    header[18:26] = (40_000).to_bytes(4, "little") * 2
    with pytest.raises(UnreadableError, match=r"pixels|not a readable picture"):
        examine(bytes(header))
