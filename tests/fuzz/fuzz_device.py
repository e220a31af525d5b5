"""A device in this process: the real probe's server behind two pipes, whose answers can be damaged on their way."""

import contextlib
import io
import os
import threading

# The probe points descriptor 1 at stderr when it is imported; this process keeps its own.
_stdout = os.dup(1)
from edgefair.probe import __main__ as probe  # noqa: E402

os.dup2(_stdout, 1)

from edgefair.probe.wire import read_frame  # noqa: E402
from edgefair.targets.transports.local import LocalTransport  # noqa: E402


class InThisProcess:
    """What `Connection` needs of a process.

    Args:
        damage: of the bytes of every answer, by its number from 0.
    """

    def __init__(self, damage):
        requests, self.stdin = (os.fdopen(end, mode) for end, mode in zip(os.pipe(), ("rb", "wb"), strict=True))
        self.stdout, answers = (os.fdopen(end, mode) for end, mode in zip(os.pipe(), ("rb", "wb"), strict=True))
        self.stderr = io.BytesIO()
        self._thread = threading.Thread(target=self._serve, args=(requests, answers, damage), daemon=True)
        self._thread.start()

    def _serve(self, requests, answers, damage):
        server, number = probe.Server(None), 0
        try:
            while (frame := read_frame(requests)) is not None:
                answers.write(
                    damage(number, b"".join(bytes(part) for part in probe.reply(server, probe.ready(*frame))))
                )
                answers.flush()
                number += 1
        except Exception as error:
            self.stderr = io.BytesIO(str(error).encode())  # whoever waits sees the end of the stream
        finally:
            for stream in (answers, requests):
                with contextlib.suppress(OSError):
                    stream.close()

    def wait(self, timeout=None):
        self._thread.join(timeout)
        return 0

    def kill(self):
        with contextlib.suppress(OSError, ValueError):
            self.stdin.close()


_damage = [lambda _number, answer: answer]


def damage_with(damage):
    """Damage the answers of the devices that are started from now on."""
    _damage[0] = damage


def replace_local():
    """Make `local` a device in this process."""
    LocalTransport.start = lambda _self: InThisProcess(_damage[0])
