"""The grid of benchmarks/false_pass in its short form, and that it would see a verdict that errs."""

import json
import sys

import numpy as np
import pytest

from benchmarks.false_pass.__main__ import main
from benchmarks.false_pass.played import Key, Played, modules, play, scenarios_of
from benchmarks.false_pass.tables import counts_of, policy, within_sight
from edgefair.decision.decide import decide
from edgefair.decision.verdict import Outcome
from edgefair.probe.bundles.gates import ABSOLUTE

KEYS = [Key(module, name) for module in ("independent", "paired") for name in scenarios_of(module, True)]


@pytest.mark.parametrize("key", KEYS, ids="/".join)
def test_an_unfair_model_passes_with_at_most_alpha(key):
    found = play(key, True, 0)
    assert found.holds, found


def played(events, runs=1000, at_most=0.05, at_least=None):
    return Played(Key("m", "s"), at_most, at_least, runs, events, 1.0)


def test_a_bound_is_missed_beyond_three_standard_errors_and_not_before():
    assert played(50).holds
    assert played(50 + 18).holds
    assert not played(50 + 25).holds
    assert not played(700, at_most=None, at_least=0.8).holds
    assert played(790, at_most=None, at_least=0.8).holds
    assert not played(3, runs=100, at_most=0.001).holds


def test_what_is_out_of_sight_does_not_pass():
    """So the grid may leave it unjudged: every table of two small cells, at several thresholds and alphas."""
    n = 60
    for alpha, threshold in ((0.001, 0.2), (0.05, 0.1), (0.1, 0.05)):
        rules = policy(2, max_eo_gap=threshold, alpha=alpha)
        for x in np.random.default_rng(0).integers(0, n + 1, size=(150, 2)):
            rate = x / n
            error = float(np.sqrt((rate * (1 - rate) / n).sum()))
            if not within_sight(float(rate[1] - rate[0]), error, threshold, alpha):
                table = np.array([[[999, 0], [n - hits, hits]] for hits in x])
                assert decide(counts_of(table), rules).gate(ABSOLUTE).outcome is not Outcome.PASS


@pytest.fixture
def grid(monkeypatch, capsys):
    """Exit code, standard output and error of the command."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["false_pass", "--quick", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, *capsys.readouterr()

    return run


def test_what_is_kept_is_not_played_again_and_a_bound_that_is_missed_ends_with_1(tmp_path, grid):
    file = tmp_path / "played.jsonl"
    only = ("--only", "2 groups, 2 classes", "--json", str(file))
    assert grid(*only)[0] == 0
    lines = file.read_text().splitlines()
    assert len(lines) == 4
    changed = json.loads(lines[0])
    changed["events"] = changed["runs"]
    file.write_text("\n".join([json.dumps(changed), *lines[1:], '{"torn']))
    code, table, _ = grid(*only)
    assert code == 1
    assert "MISSED" in table
    assert "1 of 4 bounds missed" in table
    assert file.read_text().count("\n") == len(lines)


def test_the_grid_finds_its_files_by_itself(grid):
    assert {"independent", "clustered", "paired", "false_fail"} <= set(modules())
    code, _, refused = grid("--only", "nothing of that name")
    assert code == 2
    assert "files: clustered, " in refused


def test_a_grid_that_ran_out_of_time_says_what_it_has_not_played(grid):
    code, table, _ = grid("--only", "false_fail", "--seconds", "0")
    assert code == 0
    assert "4 of 4 scenarios were not played" in table
