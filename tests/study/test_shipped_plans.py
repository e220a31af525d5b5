"""Every plan that ships can be read, with its project, has something to compare, and can be run."""

import pytest

from edgefair.errors import DataError
from edgefair.resources import shipped_names, shipped_path

PLANS = "deploy/studies"
# What a reader must bring, so that no more than the reading of these can be tried here.
BROUGHT = {"celeba": "CelebA", "fer-paper": "CK+ (test_fer_paper.py has drawn faces)", "text": "the tweets"}


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


# A level of `census` takes a second to read: 95,000 rows, each time.
TRIED = [pytest.param(name, marks=[pytest.mark.long] * (name == "census")) for name in shipped_names(PLANS)]


@pytest.mark.parametrize("name", TRIED)
def test_a_plan_that_ships_has_the_rows_of_every_level_and_nothing_that_a_dry_run_refuses(name):
    runner = pytest.importorskip("edgefair.study.run.prepared", reason="the runner of studies")
    from edgefair.study.run.given import open_plan

    given = open_plan(name)
    if name.startswith("pictures"):
        pytest.importorskip("dicebear_styles", reason="edgefair[peeps] draws the pictures of this plan")
    if name in BROUGHT:
        with pytest.raises(DataError) as missing:
            runner.rows_of(given)
        assert "--set data.source=" in str(missing.value.fix)
        pytest.skip(f"not ours to ship: {BROUGHT[name]}")
    runner.check_study(given, runner.rows_of(given))
