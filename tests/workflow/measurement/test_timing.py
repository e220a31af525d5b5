"""How long a verdict's latency is measured, on the real runtime of this machine."""

import pytest

from edgefair.progress import silent
from edgefair.workflow.job import Job
from edgefair.workflow.measurement.judge import JudgedFile, judge_file
from tests.targets.onnx_models import classifier
from tests.workflow.small_project import project

PROFILE = """
name: patient
transport: local
{budgets}
latency: {{warmup: 0, min_queries: 30, min_seconds: 0, max_seconds: {seconds}, min_effective_queries: 1000000000}}
"""


def queries(folder, rules, budgets="", *, seconds=0.3):
    (folder / "patient.yaml").write_text(PROFILE.format(budgets=budgets, seconds=seconds))
    policy = {"attributes": {"sex": {"groups": ["F", "M"]}}} | rules
    config, data = project(folder, policy=policy, targets=[str(folder / "patient.yaml")])
    model = classifier(folder / "model.onnx")
    report = judge_file(
        Job(config, data, silent), JudgedFile(model, shown_as=model), command="verify", latency=True, reading_s=0.0
    )
    return report.targets[0].latency.queries


@pytest.mark.parametrize(
    ("rules", "budgets"),
    [({"max_latency_p90_ms": 1000.0}, ""), ({}, "budgets: {max_latency_p90_ms: 1000}")],
    ids=["policy", "budget"],
)
def test_where_latency_is_judged_it_is_measured_until_it_tells_enough_or_the_time_is_over(tmp_path, rules, budgets):
    assert queries(tmp_path, rules, budgets) > 30


def test_where_no_latency_is_judged_nobody_waits_for_it_to_tell_enough(tmp_path):
    assert queries(tmp_path, {}, seconds=60) == 30
