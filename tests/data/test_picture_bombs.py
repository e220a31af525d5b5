"""Small files that claim to be large pictures."""

import struct
import threading
import time
import tracemalloc
import zlib

import numpy as np
import pytest

from edgefair.data.images.decode import UnreadableError, decode, examine
from edgefair.data.images.pixel_budget import PixelBudget
from edgefair.probe.inputs.pictures import MAX_PIXELS, fit
from edgefair.probe.onnx_files.spec import PictureSpec

STRETCHED, CENTRE = PictureSpec("p", 224, 224), PictureSpec("p", 224, 224, shorter=224)


def png(width, height):
    """Zeros, in grey."""
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes(min(height * (1 + width), 1 << 26)))),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in parts
    )


@pytest.mark.parametrize(
    ("width", "height", "spec"),
    [
        (1, 500_000, CENTRE),
        (500_000, 1, CENTRE),
        (1, 8_000_000, STRETCHED),
        (8_000_000, 1, STRETCHED),
        (60_000_000, 1, STRETCHED),
        (20_000, 20_000, STRETCHED),
    ],
)
def test_a_picture_that_would_fill_the_memory_is_refused_before_it_is_decoded(width, height, spec):
    content = png(width, height)
    begun = time.process_time()
    tracemalloc.start()
    with pytest.raises(UnreadableError, match=r"pixels|too elongated"):
        decode(content, spec)
    assert tracemalloc.get_traced_memory()[1] < 1 << 24
    tracemalloc.stop()
    assert time.process_time() - begun < 1


def test_the_device_refuses_what_the_audit_refused():
    with pytest.raises(ValueError, match="resizing makes more than"):
        fit(np.zeros((500_000, 1, 3), dtype=np.uint8), CENTRE)
    with pytest.raises(ValueError, match="no pixels"):
        fit(np.zeros((0, 5, 3), dtype=np.uint8), CENTRE)


def test_a_large_photograph_is_no_bomb():
    content = png(6000, 4000)
    examine(content)
    assert decode(content, CENTRE).shape == (224, 224, 3)


def test_pictures_that_are_too_large_together_are_decoded_one_after_the_other():
    budget, together, most = PixelBudget(MAX_PIXELS), [0], [0]

    def decoding():
        with budget.taken(MAX_PIXELS // 2):
            together[0] += 1
            most[0] = max(most[0], together[0])
            barrier.wait(timeout=60)
            together[0] -= 1

    barrier = threading.Barrier(2)  # two fit, and wait for each other; a third would never leave in a pair
    threads = [threading.Thread(target=decoding) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 2


def test_a_picture_of_more_pixels_than_there_are_is_decoded_alone():
    budget = PixelBudget(10)
    with budget.taken(1000):
        pass
    with budget.taken(10):
        pass
