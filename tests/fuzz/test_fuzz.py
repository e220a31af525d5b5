"""A few hundred damaged inputs with every run of the tests; `make fuzz` gives 20,000."""

import sys

import pytest

from tests.fuzz.fuzz_harness import fuzz, surfaces, table

INPUTS = 300


@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured by /proc")
def test_no_damaged_input_ends_in_a_traceback_a_hang_a_full_memory_or_a_pass(tmp_path):
    tallies = fuzz(INPUTS, seed=11, kept=tmp_path, workers=1)
    assert {item.surface for item in tallies} == set(surfaces())
    assert all(item.inputs for item in tallies)
    found = [text for item in tallies for text in item.findings]
    assert not found, "\n\n".join([*found, table(tallies)])
