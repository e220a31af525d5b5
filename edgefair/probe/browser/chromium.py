"""A headless chromium that ends with this process, and of which nothing stays."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import queue
import shutil
import subprocess
import tempfile
import threading
from typing import Any, Callable, Deque, Dict, List, Mapping, Optional, Sequence

from edgefair.probe.errors import ProbeError
from edgefair.probe.system.linux import is_root

# In the order in which they are looked for.
BROWSERS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "microsoft-edge-stable")
INSTALL = "install chromium (Debian, Ubuntu: apt-get install chromium), Chrome or Edge where the probe runs"
# Seconds until a browser that was started, or its page, gives a sign of life.
STARTING_S = 120.0
LAST_WORDS = 5
# How long the last words of a browser that has ended may take.
LISTENING_S = 2.0
# A system bus that a machine without a desktop lacks is nobody's fault.
NOISE = b"dbus"
# The shell moves the two pipes to where --remote-debugging-pipe reads and writes. It stays until the browser has ended,
# to end what is left of it and to remove the folder: also where this process was killed.
KEEPER = """\
folder=$1; shift
"$@" 3<&0 4>&1 </dev/null >&2
code=$?
trap "" TERM
kill -TERM 0
kill -CONT 0
/bin/rm -rf "$folder" || { /bin/sleep 1; /bin/rm -rf "$folder"; }
exit $code
"""
# Nothing but the page on loopback can be reached, whatever a model or the browser itself may ask for.
ALONE = (
    "--proxy-server=127.0.0.1:9", "--proxy-bypass-list=<-loopback>;127.0.0.1",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-extensions", "--disable-default-apps",
    "--disable-domain-reliability", "--disable-breakpad",
    "--disable-crash-reporter", "--metrics-recording-only", "--no-pings", "--no-first-run",
    "--no-default-browser-check", "--password-store=basic", "--use-mock-keychain",
)  # fmt: skip
# A page that nobody looks at runs as fast as one that somebody does.
AWAKE = (
    "--disable-background-timer-throttling", "--disable-renderer-backgrounding",
    "--disable-backgrounding-occluded-windows",
)  # fmt: skip
# What the browser tells of a page that will never answer.
LOST = {"Target.targetCrashed": "the page crashed (out of memory?)", "Target.targetDestroyed": "the page was closed"}


def find_browser() -> Optional[str]:
    """Path of a browser with chromium's engine; None where none is on the PATH."""
    return next((path for path in map(shutil.which, BROWSERS) if path is not None), None)


class Chromium:
    """A running browser, by the DevTools protocol over two pipes: it ends when they are closed, however that happens.

    https://chromedevtools.github.io/devtools-protocol/; JSON, a zero byte after each message.

    Attributes:
        product: name and version, as the browser says.
        sandboxed: whether its pages run in its sandbox; as root they cannot.
    """

    def __init__(self, program: str, options: Sequence[str], *, gone: Callable[[str], None]) -> None:
        """Start it.

        gone: called from another thread with what happened, when the page or the browser has gone.

        Raises:
            ProbeError: `no_runtime`, with its last words where it ended.
        """
        self.sandboxed = not is_root()
        self._gone = gone
        self._page: Optional[str] = None
        self._answers: Dict[int, "queue.Queue[Optional[Dict[str, Any]]]"] = {}
        self._said: Deque[str] = collections.deque(maxlen=LAST_WORDS)
        self._ended = False
        self._lock = threading.Lock()
        self._process = _start(program, [*options, *([] if self.sandboxed else ["--no-sandbox"])])
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        threading.Thread(target=self._read, daemon=True).start()
        self.product = str(self.call("Browser.getVersion")["product"])

    def open(self, address: str) -> None:
        """Open the page.

        Raises:
            ProbeError: as `call`.
        """
        self.call("Target.setDiscoverTargets", {"discover": True})
        self._page = self.call("Target.createTarget", {"url": address})["targetId"]

    def call(self, method: str, parameters: Optional[Mapping[str, Any]] = None) -> Dict[str, Any]:
        """The browser's answer to one command of the DevTools protocol.

        Raises:
            ProbeError: `no_runtime` where it refuses, is silent or has ended.
        """
        answer: "queue.Queue[Optional[Dict[str, Any]]]" = queue.Queue()
        with self._lock:
            number = len(self._answers) + 1
            self._answers[number] = answer
            if self._ended:
                answer.put(None)
        message = json.dumps({"id": number, "method": method, "params": dict(parameters or {})})
        with contextlib.suppress(OSError):  # it has ended, and the answer will say so
            self._process.stdin.write(message.encode() + b"\0")  # type: ignore[union-attr]
            self._process.stdin.flush()  # type: ignore[union-attr]
        try:
            said = answer.get(timeout=STARTING_S)
        except queue.Empty:
            raise ProbeError("no_runtime", f"the browser did not answer {method} in {STARTING_S:g} s") from None
        if said is None:
            raise ProbeError("no_runtime", f"the browser cannot be used: {self.last_words()}")
        if "error" in said:
            raise ProbeError("no_runtime", f"the browser refuses {method}: {said['error'].get('message')}")
        result: Dict[str, Any] = said["result"]
        return result

    def last_words(self) -> str:
        """How it ended, if it did, and what it said last."""
        code = self._process.poll()
        ended = "" if code is None else f"it ended with exit code {code}; "
        return f"{ended}it said: {' '.join(self._said) or 'nothing'}"

    def close(self) -> None:
        """End it; its folder is removed with that."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()  # type: ignore[union-attr]

    def _read(self) -> None:
        rest = b""
        while chunk := os.read(self._process.stdout.fileno(), 1 << 16):  # type: ignore[union-attr]
            *messages, rest = (rest + chunk).split(b"\0")
            for message in map(json.loads, messages):
                if "id" in message:
                    self._answers[message["id"]].put(message)
                elif message["method"] in LOST and message["params"]["targetId"] == self._page:
                    self._gone(LOST[message["method"]])
        self._process.wait()
        self._listener.join(LISTENING_S)
        self._gone("the browser ended")
        with self._lock:
            self._ended = True
            waiting: List["queue.Queue[Optional[Dict[str, Any]]]"] = list(self._answers.values())
        for answer in waiting:
            answer.put(None)

    def _listen(self) -> None:
        for line in self._process.stderr:  # type: ignore[union-attr]
            if NOISE not in line:
                self._said.append(line.decode(errors="replace").strip())


def _start(program: str, options: Sequence[str]) -> "subprocess.Popen[bytes]":
    """The browser in a session of its own, with a folder that it shares with nobody and that goes when it ends."""
    folder = tempfile.mkdtemp(prefix="edgefair-browser-")
    own = dict.fromkeys(("HOME", "TMPDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"), folder)
    command = [program, "--headless=new", "--remote-debugging-pipe", f"--user-data-dir={folder}", *ALONE, *AWAKE]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        ["/bin/sh", "-c", KEEPER, "sh", folder, *command, *options, "about:blank"],
        stdin=pipe, stdout=pipe, stderr=pipe, env={**os.environ, **own}, cwd="/", start_new_session=True,
    )  # fmt: skip
