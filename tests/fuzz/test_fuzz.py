"""A few hundred damaged inputs with every run of the tests; `make fuzz` gives 20,000."""

import re
import sys

import pytest
from fuzz_harness import fuzz, surfaces, table

INPUTS = 400
# What is known to be wrong and is mended in other modules; each goes when its module is.
KNOWN = (
    r"--only spec .*(TypeError|RecursionError|UFuncTypeError)",  # the types of a model's own spec
    r"--only ledger .*(UnicodeDecodeError|RecursionError)",  # a damaged line of the ledger
    r"--only bundle .*(RecursionError|TypeError)",  # JSON of thousands of levels, or odd types, in a bundle
    r"--public-key (pipe|/dev)",  # a public key that is a pipe or a device
    r"unhashable type.*data\.layout",  # a layout that is a list or a mapping
)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured by /proc")
def test_no_damaged_input_ends_in_a_traceback_a_hang_a_full_memory_or_a_pass(tmp_path):
    tallies = fuzz(INPUTS, seed=11, kept=tmp_path, workers=1)
    assert {item.surface for item in tallies} == set(surfaces())
    assert all(item.inputs for item in tallies)
    found = [text for item in tallies for text in item.findings]
    unknown = [text for text in found if not any(re.search(known, text, re.DOTALL) for known in KNOWN)]
    assert not unknown, "\n\n".join([*unknown, table(tallies)])
