"""Pools of local probes, and probes of a pool that a test can kill."""

import os
import signal

import pytest

from edgefair.targets import load_profile
from edgefair.targets.pools.pool import Pool
from edgefair.targets.transports.local import LocalTransport

SHORT = "latency: {min_seconds: 0.2, max_seconds: 20, min_queries: 2000}\n"


def pool_of(folder, *names, rest=SHORT):
    """A target of local devices of these names."""
    for name in names:
        (folder / f"{name}.yaml").write_text(f"name: {name}\ntransport: local\n{rest}")
    return "pool:" + ",".join(str(folder / f"{name}.yaml") for name in names)


def opened(*probes):
    """A pool of probes that were made by hand, of one profile."""
    return Pool(load_profile("local"), probes, frozenset(probe.profile.name for probe in probes))


@pytest.fixture
def started(monkeypatch):
    """Processes of the local probes that were started, by the name of their target."""
    found, original = {}, LocalTransport.start

    def remembered(self):
        found[self.profile.name] = original(self)
        return found[self.profile.name]

    monkeypatch.setattr(LocalTransport, "start", remembered)
    return found


def kill(process):
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
