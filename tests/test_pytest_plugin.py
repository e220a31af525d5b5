"""The plugin in a test suite of a user: a process of its own, with and without several processes of tests."""

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import edgefair
from edgefair.errors import UsageError
from tests.bundle.small_bundle import COUNTS, POLICY
from tests.e2e.test_every_interface import CASES, project

SUITE = """\
from edgefair import assert_fair

def test_ships(edgefair_verify):
    assert_fair(edgefair_verify("column.onnx", policy__max_eo_gap=0.06))

def test_nothing_of_ours():
    assert True
"""


def suite(folder, case, *arguments):
    project(folder, np.array(CASES[case][:2], dtype=np.int64))
    (folder / "test_model.py").write_text(SUITE)
    plugin = [] if "-p" in arguments else ["-p", "edgefair.workflow.pytest_plugin"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *plugin, *arguments],
        cwd=folder, capture_output=True, text=True, check=False, timeout=300,
        env=os.environ | {"PYTHONPATH": str(Path(edgefair.__file__).parents[1]), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )  # fmt: skip


def test_a_fair_model_passes_and_the_summary_says_what_was_judged(tmp_path):
    result = suite(tmp_path, "fair", "--junit-xml=tests.xml")
    assert result.returncode == 0, result.stdout
    assert "edgefair: 1 judged: 1 PASS" in result.stdout
    found = ElementTree.parse(tmp_path / "tests.xml").iter("property")
    assert [item.attrib for item in found] == [{"name": "edgefair", "value": "PASS"}]


@pytest.mark.parametrize(("case", "outcome"), [("unfair", "FAIL"), ("small", "INCONCLUSIVE")])
def test_what_is_not_shown_to_be_fair_fails_with_the_reason_also_from_another_process(tmp_path, case, outcome):
    result = suite(tmp_path, case, "-p", "edgefair.workflow.pytest_plugin", "-p", "xdist", "-n", "1")
    assert result.returncode == 1
    assert f"target 'local': {outcome}" in result.stdout
    assert f"{outcome} eo_gap: g: " in result.stdout
    assert f"edgefair: 1 judged: 1 {outcome}" in result.stdout


def test_the_plugin_imports_nothing_of_edgefair_before_a_test_asks_for_it():
    loaded = "[n for n in sys.modules if n.startswith(('edgefair.', 'numpy'))]"
    code = f"import sys, edgefair.workflow.pytest_plugin; print({loaded})"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "['edgefair._version', 'edgefair.workflow', 'edgefair.workflow.pytest_plugin']"


def test_a_report_brings_its_policy_and_counts_need_one():
    with pytest.raises(UsageError, match="judged by a policy"):
        edgefair.assert_fair(COUNTS)
    assert edgefair.assert_fair(COUNTS, POLICY).exit_code == 0
