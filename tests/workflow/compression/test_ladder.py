"""Plain `--int8` climbs to more careful recipes where validation rows say so; whoever names one gets that one."""

from collections import Counter

import pytest

from edgefair.compress.config import RepairConfig
from edgefair.compress.low_precision import LOW_PRECISIONS
from edgefair.compress.search.choice import Choice
from edgefair.workflow.compression.repair import moves_of
from edgefair.workflow.compression.trials import ValidationBench
from tests.workflow.small_project import candidates_of

RECIPE = Choice(None, "int8-balanced")


@pytest.fixture(scope="module")
def candidates(tmp_path_factory):
    return candidates_of(tmp_path_factory.mktemp("ladder"), compress={"int8": "auto"}, targets=["local"])


@pytest.mark.parametrize(
    ("changes", "kind", "rungs"),
    [
        ({}, "static", ("int8-mse", "int8-adaptive")),
        ({"repair": RepairConfig(ladder=())}, "static", ()),
        ({"int8": "static"}, "static", ()),
        ({"calibration": "int8-worst"}, "static", ()),
        ({}, "dynamic", ()),
    ],
)
def test_only_plain_int8_that_is_calibrated_has_rungs(candidates, changes, kind, rungs):
    config = candidates.job.config
    config = config.model_copy(update={"compress": config.compress.model_copy(update=changes)})
    assert moves_of(config, LOW_PRECISIONS[kind], corrects_bias=True, refits=False).ladder == rungs


def test_a_rung_is_judged_like_any_trial_and_its_file_has_the_same_operators(candidates, tmp_path):
    bench = ValidationBench(candidates, tmp_path / "log/trials.jsonl", tmp_path, recipe=RECIPE)
    careful = Choice(None, "int8-adaptive")
    trial = bench.judge(careful)
    assert 0 <= trial.changed < 0.2
    assert trial.cost == bench.cost(RECIPE)
    again = ValidationBench(candidates, tmp_path / "log/trials.jsonl", tmp_path, recipe=RECIPE)
    assert again.judge(careful) == trial
    made = candidates.make(careful, tmp_path / "careful.onnx")
    assert made.settings["calibration"]["rounding"] == "adaptive"
    graphs = [candidates.graph(choice).graph.node for choice in (RECIPE, careful)]
    assert Counter(node.op_type for node in graphs[0]) == Counter(node.op_type for node in graphs[1])
    assert candidates.graph(careful) == candidates.graph(careful)
