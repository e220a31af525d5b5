"""Memory for pictures while they are decoded, shared by all threads that decode."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator


class PixelBudget:
    """Lets pictures be decoded side by side as long as they have no more than so many pixels in all.

    A picture of the largest size is decoded alone, so what one may take is also what all take.
    """

    def __init__(self, pixels: int) -> None:
        self._most = self._free = pixels
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def taken(self, pixels: int) -> Iterator[None]:
        """Wait until so many pixels are free, and hold them."""
        pixels = min(pixels, self._most)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= pixels)
            self._free -= pixels
        try:
            yield
        finally:
            with self._changed:
                self._free += pixels
                self._changed.notify_all()
