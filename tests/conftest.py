"""What all tests share: the surroundings of a log, not of a terminal; and what takes long and is always the same."""

import gc
import os
from pathlib import Path

import pytest
from hypothesis import settings

from edgefair.cli import RARELY
from tests.exporters.remembered import exported_anew as exported_anew
from tests.exporters.remembered import remember
from tests.exporters.remembered import traced_once as traced_once
from tests.targets.quiet import quiet_device as quiet_device
from tests.targets.warm import fork_probes

HERE = Path(__file__).parent
# What starting a probe is, and exporting a network, is tested here.
STARTING = {HERE / "targets" / name for name in ("test_local_target.py", "test_lost_devices.py")}
EXPORTING = HERE / "exporters"

# pytest-xdist tells its workers the width of the terminal that nobody sees; output in a pipe keeps to it.
os.environ.pop("COLUMNS", None)
# A deadline is wall time, and a busy machine would miss it.
settings.register_profile("suite", parent=settings(), deadline=None)
settings.load_profile("suite")


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """What is imported stays: nobody looks through it for garbage, then, in a test, or five times at the end.

    Tests import more; looking through that as often as usual would take 7 % of their time.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(*RARELY)
        gc.enable()


def pytest_collection_modifyitems(items):
    """A folder of short files comes last, so that the workers end at about the same time."""
    items.sort(key=lambda item: item.path.is_relative_to(HERE / "data"))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish():
    """pytest looks for garbage ten times at the end, for errors that only that shows; after this it looks at little."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    if config.getvalue("dist") == "loadfile":
        from tests.shared_out import ByFileAndServer

        return ByFileAndServer(config, log)
    return None


def pytest_runtest_setup(item):
    fork_probes(item.path not in STARTING)
    remember(not item.path.is_relative_to(EXPORTING))
