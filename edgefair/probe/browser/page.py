"""One page of a browser, where models are loaded and run: asked by frames, and lost as a whole."""

from __future__ import annotations

import pkgutil
import queue
from typing import Any, List, Mapping, Optional, Sequence

import numpy as np

from edgefair.probe.browser.chromium import STARTING_S, Chromium
from edgefair.probe.browser.server import Frame, PageServer
from edgefair.probe.errors import ProbeError
from edgefair.probe.wire import encode_frame

SCRIPT = "page.js"
HTML = b'<!doctype html><meta charset="utf-8"><title>edgefair</title><script type="module" src="page.js"></script>'


class PageError(Exception):
    """What went wrong in the page, in its own words; the page goes on.

    kind: the page's name for it, if it has one.
    """

    def __init__(self, message: str, kind: Optional[str]) -> None:
        super().__init__(message)
        self.kind = kind


class Page:
    """A page in a browser of its own.

    Attributes:
        browser: that it runs in.
        forgotten: numbers of sessions that nobody has any more, and that the page need not keep.
        pool: rows that it has to time queries with.
    """

    def __init__(self, program: str, options: Sequence[str], files: Mapping[str, bytes]) -> None:
        """Start the browser and open the page.

        files: what the page may load, by their path from the page.

        Raises:
            ProbeError: `no_runtime`.
        """
        self.forgotten: List[int] = []
        self.pool: Optional[Mapping[str, np.ndarray]] = None
        self._server = PageServer({"index.html": HTML, SCRIPT: pkgutil.get_data(__package__, SCRIPT) or b"", **files})
        try:
            self.browser = Chromium(program, options, gone=self._server.answers.put)
            self.browser.open(self._server.address)
            begun = self._server.answers.get(timeout=STARTING_S)
        except queue.Empty:
            raise ProbeError("no_runtime", f"the page did not begin within {STARTING_S:g} s") from None
        if isinstance(begun, str):
            raise ProbeError("no_runtime", f"{begun}: {self.browser.last_words()}")

    def ask(self, do: str, header: Mapping[str, Any], arrays: Optional[Mapping[str, np.ndarray]] = None) -> Frame:
        """The page's answer to one request, however long it takes: the host sets the limit.

        Raises:
            PageError: the page could not do it.
            ProbeError: `run_failed`, where the page or the browser has gone.
        """
        self._server.requests.put(encode_frame({**header, "do": do}, arrays))
        answer = self._server.answers.get()
        if answer is None or isinstance(answer, str):
            self._server.answers.put(answer)  # for whoever asks again
            raise ProbeError("run_failed", f"{answer or 'the page was loaded again'}: {self.browser.last_words()}")
        reply, outputs = answer
        if not reply["ok"]:
            raise PageError(reply["message"], reply["kind"])
        return reply, outputs

    def close(self) -> None:
        """End the browser."""
        self.browser.close()
        self._server.close()
