"""What people are shown of a pool: every device, how fast it is, and which one decided."""

import re
from dataclasses import replace

import pytest

from edgefair.report.formats.base import Item
from edgefair.report.pool import MOST, pool_lines
from tests.attacks.test_hostile_names_in_formats import NAMES
from tests.report.golden_results import FAIR, document, pool, report_of, results, timed

REPORT = results()["pool"]


def many(devices):
    """As many devices, each faster than the one before."""
    slow, *_ = pool()
    return [
        replace(slow, name=f"pi-{index}", rows=16_000 // devices, latency=timed(1.0 - index / 100))
        for index in range(devices)
    ]


@pytest.mark.parametrize("form", ["terminal", "markdown", "html"])
def test_every_device_of_a_pool_is_shown_with_what_it_decided(form):
    text = document(form, Item(REPORT))
    for said in (r"pi-b\b.*2,000.*7.*the slowest; decides latency p90", r"pi-a\b.*13,500.*1\.75", r"pi-c\b.*500.*lost"):
        assert re.search(said, text), said


def test_the_slowest_stands_for_the_clock_and_the_worst_decides_the_gate():
    slow, fast, lost = pool_lines(REPORT.targets[0])
    assert (slow.name, slow.slowest, slow.gates) == ("pi-b", True, ("latency p90",))
    assert (fast.name, fast.slowest, fast.remarks) == ("pi-a", False, "")
    assert (lost.name, lost.numbers[1:], lost.gates) == ("pi-c", ("?",) * 5, ())
    within = report_of(FAIR, targets=("pool",), pool=pool(), max_latency_p90_ms=50)
    named = {line.name: line.remarks for line in pool_lines(within.targets[0])}
    assert named["pi-b"] == "the slowest"
    assert named["pi-c"].startswith("decides latency p90; "), "without its clock nothing is shown of it"


def test_a_large_pool_takes_a_part_of_a_screen_and_a_page_has_all_of_it():
    report = report_of(FAIR, targets=("pool",), pool=many(40))
    for form in ("terminal", "markdown"):
        text = document(form, Item(report))
        shown = set(re.findall(r"\bpi-(\d+)\b", text))
        assert shown == {str(index) for index in range(MOST)}
        assert "and 32 more devices, none of them slower" in text
    assert len(set(re.findall(r'<th scope="row">pi-(\d+)</th>', document("html", Item(report))))) == 40


@pytest.mark.parametrize("form", ["terminal", "markdown", "html"])
@pytest.mark.parametrize("name", NAMES)
def test_hostile_names_of_devices_are_text(name, form):
    slow, fast, lost = pool()
    devices = (replace(slow, name=NAMES[name]), fast, lost)
    report = report_of(FAIR, targets=("pool",), pool=devices, max_latency_p90_ms=5)
    text = document(form, Item(report))
    assert form == "terminal" or "<script" not in text
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\u2066]", text)
    assert not re.search(r"^\s*::(error|stop-commands)|##\[error\]|##vso\[", text, re.MULTILINE)


def test_one_device_is_no_pool():
    report = results()["pass"]
    assert pool_lines(report.targets[0]) == ()
    assert "Devices of the pool" not in document("html", Item(report))
