"""Asking a sealed audit set until an unfair model passes: every ask is spent, and the set tells one bit."""

import json
import re

import pytest

from tests.attacks.sealed import ACCOUNT, events, export, ledger, lines, project, refused, verify
from tests.attacks.judged import report, run

__all__ = ["project"]
ALPHA = 0.05


def test_three_models_are_not_pass_and_the_fourth_passes_at_its_own_level(project):
    for number, model in enumerate(("unfair.onnx", "worse.onnx", "unfair.onnx"), start=1):
        code, found = verify(project, model)
        assert (code, found["outcome"], found["targets"]) == (3, "INCONCLUSIVE", [])
        assert found["seal"]["verdict"] == number
        assert found["seal"]["level"] == ALPHA / (number * (number + 1))
        assert found["seal"]["head"] == lines(project)[-1]["digest"]
    code, found = verify(project)
    assert (code, found["outcome"], found["seal"]["verdict"]) == (0, "PASS", 4)
    assert found["targets"][0]["verdict"]["alpha"] == found["seal"]["level"] == ALPHA / 20
    assert events(project) == ["asked"] * 4 + ["passed"]
    assert [line["outcome"] for line in ledger(project)] == ["INCONCLUSIVE"] * 3 + ["PASS"]
