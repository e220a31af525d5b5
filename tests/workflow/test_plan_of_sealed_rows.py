"""A plan is for the verdict that comes next, by what that one may err by."""

from tests.attacks.judged import report, run
from tests.attacks.sealed import ACCOUNT, audit, events, project, verify

__all__ = ["project"]
FEW = ("--simulations", "60")
NOBODY = "policy.waivers=[{comparison: 'sex: TPR, f / x', reason: r, owner: o, expires: 2100-01-01}]"


def test_the_next_verdict_on_sealed_rows_is_planned_at_its_own_level_and_nothing_is_spent(project):
    _, first = report("plan", project, *FEW)
    assert (first["verdict"], first["alpha"]) == (1, 0.025)
    assert not (project / ACCOUNT).exists()
    verify(project, "unfair.onnx")
    verify(project, "unfair.onnx")
    code, third = report("plan", project, *FEW)
    assert (code, third["verdict"], third["alpha"]) == (0, 3, 0.05 / 12)
    assert third["power"][0]["rows_per_cell"] > first["power"][0]["rows_per_cell"]
    assert third["attributes"][0]["least_rows"] > first["attributes"][0]["least_rows"]
    assert "verdict 3 on these sealed rows at level 0.00417" in " ".join(run("plan", project, *FEW).stdout.split())
    assert events(project) == ["asked", "asked"]


def test_an_open_seal_leaves_nothing_to_plan(project):
    verify(project, "unfair.onnx")
    audit(project, "open")
    done = run("plan", project, *FEW)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "the seal of these audit rows was opened" in done.stderr


def test_declared_errors_raise_the_smallest_threshold_that_rows_can_decide(project):
    opened = ("--set", "policy.audit=open", *FEW)
    plain = report("plan", project, *opened)[1]["attributes"][0]["smallest_threshold"]
    told = report("plan", project, *opened, "--set", "policy.errors.labels=0.01")[1]["attributes"][0]
    assert told["smallest_threshold"] == (plain + 0.01) / (1 - 0.01)


def test_a_waiver_of_no_comparison_is_refused_before_audits_are_simulated(project):
    done = run("plan", project, *FEW, "--set", NOBODY)
    assert (done.exit_code, "simulating" in done.stderr) == (2, False)
    assert "not a comparison of this policy" in " ".join(done.stderr.split())
