"""Where the suite's processor time goes, as a pytest plugin: `make slowest` loads it.

Unlike wall time, the processor time of this process and of those it has waited for hardly depends on what else the
machine does. A fixture's time falls to the test that asked for it first; what `tests/e2e/forked.py` starts is not seen.
"""

import os
import time
from collections import Counter

import pytest

from tests.targets import warm

SHOWN = 20
_PROPERTY = "processor_seconds"
_spent: Counter[str] = Counter()
_mark = 0.0


def _processor_seconds() -> float:
    """Seconds that this process, all its threads, the processes it has waited for and its probes have computed."""
    children = os.times()
    return time.process_time() + children.children_user + children.children_system + warm.processor_seconds()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup():
    global _mark
    _mark = _processor_seconds()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item, call):
    """Give the last report the whole test's seconds: a report travels from a worker, a variable does not."""
    if call.when == "teardown":
        item.user_properties.append((_PROPERTY, _processor_seconds() - _mark))


def pytest_runtest_logreport(report):
    if report.when == "teardown":
        _spent[report.nodeid] += dict(report.user_properties).get(_PROPERTY, 0.0)


def pytest_terminal_summary(terminalreporter):
    files: Counter[str] = Counter()
    for test, seconds in _spent.items():
        files[test.partition("::")[0]] += seconds
    for title, spent in (("tests", _spent), ("files", files)):
        terminalreporter.section(f"most processor seconds: {title}, of {sum(spent.values()):.0f} in all")
        for name, seconds in spent.most_common(SHOWN):
            terminalreporter.write_line(f"{seconds:9.2f}  {name}")
