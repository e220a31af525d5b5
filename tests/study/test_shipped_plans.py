"""Every plan that ships can be read, with its project, and has something to compare."""

import pytest

from edgefair.resources import shipped_names, shipped_path

PLANS = "deploy/studies"


@pytest.mark.parametrize("name", shipped_names(PLANS))
def test_a_plan_that_ships_is_read_with_its_project_and_compares_with_its_controls(name):
    runner = pytest.importorskip("edgefair.study.run.given", reason="the runner of studies, which reads projects too")
    from edgefair.study.planned import planned_contrasts

    given = runner.open_plan(name)
    assert given.plan.study == name
    assert given.plan.about
    assert {"none", "finetune-only"} <= {str(item) for item in given.plan.factors.extent}
    assert {"none", "label-balance"} <= {str(item) for item in given.plan.factors.treatment}
    assert planned_contrasts(given.plan)
    assert given.config.base == shipped_path(PLANS, "projects").resolve()
