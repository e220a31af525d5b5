import itertools

import pytest

from edgefair.study.executors import Lost, Settings
from edgefair.study.executors.serial import Serial
from edgefair.study.reading import read_plan
from edgefair.study.run.schedule import carry_out
from edgefair.study.run.tasks import Partners, tasks_of
from edgefair.study.run.work import Done

PLAN = read_plan("""
study: s
factors:
  noise: [0, 0.1]
  extent: [prune 0.8 + int8, finetune-only + int8, prune 0.8, int8, none, finetune-only, scratch 0.5, reordered]
  treatment: [after, none, before, during, before + during + after]
seeds: 2
after_rows: 10
""")
CELLS = PLAN.cells
ROWS = {index: f"row {index}" for index in range(len(CELLS))}
TRAININGS = {index: f"training {cell.dense or cell.network}" for index, cell in enumerate(CELLS)}


def tasks(wanted=tuple(ROWS)):
    return tasks_of(CELLS, wanted, rows=ROWS, trainings=TRAININGS)


def run(given, work):
    """Names in the order in which they ended, and what was told of each."""
    told = {}
    with Serial(lambda: work, Settings()) as executor:
        carry_out(given, executor, lambda task, done: told.setdefault(task.name, done))
    return told


def test_every_row_comes_after_all_that_it_needs_whatever_the_order_of_the_plan():
    order = [*run(tasks(), lambda task: Done())]
    place = {name: index for index, name in enumerate(order)}
    assert len(order) == len(CELLS) + PLAN.trainings.dense + PLAN.trainings.anew
    for task in tasks():
        assert all(place[name] < place[task.name] for name in task.needs)


def test_a_network_is_trained_by_one_row_before_others_share_it():
    names = {task.name: task for task in tasks()}
    tuned = [index for index, cell in enumerate(CELLS) if cell.extent.training == "finetune"]
    for _, shared in itertools.groupby(sorted(tuned, key=lambda at: CELLS[at].network), lambda at: CELLS[at].network):
        rows = {ROWS[index] for index in shared}
        assert len([name for name in rows if not rows & {*names[name].needs}]) == 1


def partners(plan, extent, treatment):
    cells = plan.cells
    index = next(at for at, item in enumerate(cells) if (str(item.extent), str(item.treatment)) == (extent, treatment))
    return {name: cells[at].condition.split("; ", 3)[3] for name, at in Partners(cells).of(index).items()}


def test_a_file_is_compared_with_the_dense_model_that_it_started_from_and_with_its_control():
    assert partners(PLAN, "prune 0.8 + int8", "during") == {
        "dense": "extent none; treatment none", "control": "extent finetune-only; treatment during",
    }  # fmt: skip
    assert partners(PLAN, "finetune-only", "before") == {"dense": "extent none; treatment before"}
    assert partners(PLAN, "none", "before") == {}
    # the plan has no dense cell of `before + after`
    assert partners(PLAN, "prune 0.8", "before + during + after") == {
        "control": "extent finetune-only; treatment before + during + after"
    }


def test_a_dense_model_is_found_under_whatever_name_its_treatment_has():
    plan = read_plan("""
study: s
factors:
  extent: [none, finetune-only, prune 0.8]
  treatment: [before, label-balance + before]
parts: [{extent: [finetune-only, prune 0.8]}, {extent: none, treatment: before}]
seeds: 2
""")
    assert partners(plan, "prune 0.8", "label-balance + before") == {
        "dense": "extent none; treatment before", "control": "extent finetune-only; treatment label-balance + before",
    }  # fmt: skip


def test_what_is_there_is_not_needed_again():
    last = len(CELLS) - 1
    (training, row) = tasks([last])
    assert row.needs == (training.name,)


def test_a_task_whose_worker_died_is_tried_again_and_one_that_kills_it_fails_alone():
    given = tasks()
    bad, shaky, seen = given[2].name, given[4].name, []

    def work(task):
        seen.append(task.name)
        lost = task.name == bad or (task.name == shaky and seen.count(shaky) == 1)
        return Lost("its process was killed by signal 9") if lost else Done()

    told = run(given, work)
    assert (seen.count(bad), seen.count(shaky)) == (3, 2)
    assert told[bad].error == "its process was killed by signal 9, 3 times"
    assert [name for name, done in told.items() if done.error] == [bad]


def test_rows_of_a_training_that_failed_fail_with_it_and_are_not_tried():
    given, seen = tasks(), []
    bad = given[0]

    def work(task):
        seen.append(task.name)
        return Done(error="diverged") if task is bad else Done()

    told = run(given, work)
    failed = {name for name, done in told.items() if done.error}
    assert failed == {bad.name, *(task.name for task in given if bad.name in task.needs)}
    assert not (failed - {bad.name}) & {*seen}
    assert {done.error for done in told.values()} == {None, "diverged", "its training failed: diverged"}


def test_what_ends_the_study_ends_it_at_once():
    def stop(task, done):
        raise KeyboardInterrupt

    with Serial(lambda: lambda task: Done(), Settings()) as executor, pytest.raises(KeyboardInterrupt):
        carry_out(tasks(), executor, stop)


def test_no_worker_waits_while_what_another_gave_is_written():
    class Two(Serial):
        workers = 2

        def submit(self, unit):
            handed.append(unit)
            super().submit(unit)

    handed, told = [], []
    trainings = [task for task in tasks() if task.kind == "training"]
    with Two(lambda: lambda task: Done(), Settings()) as executor:
        carry_out(trainings, executor, lambda task, done: told.append(len(handed)))
    count = len(trainings)
    assert told == [min(ended + 2, count) for ended in range(1, count + 1)]
