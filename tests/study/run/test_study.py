"""A study of seconds, carried out: its rows, its table, and what is made anew when it is run again."""

import html
import io
import json
from collections import Counter
from dataclasses import replace

import onnxruntime
import pytest
import torch

from edgefair.errors import MeasurementError, ModelError, UsageError
from edgefair.measure.counts import GroupCounts
from edgefair.progress import Progress, recorded
from edgefair.report.formats import open_format
from edgefair.report.formats.base import Item
from edgefair.study.reading import plan_digest, read_plan
from edgefair.study.run import keys, work
from edgefair.study.run import study as running
from edgefair.study.run.foreseen import foresee
from edgefair.study.run.given import open_plan
from edgefair.study.run.study import run_study
from edgefair.study.run.tasks import Task
from edgefair.study.table import from_parquet, values_of
from tests.study.run.small_study import PLAN, given, rows_in
from tests.study.without_times import without_times


def table(folder):
    return from_parquet((folder / "table.parquet").read_bytes())


@pytest.fixture(scope="module")
def studied(tmp_path_factory):
    """The plan, the folder of its study, what the run returned and said, and where its time went."""
    plan = given(tmp_path_factory.mktemp("project"))
    folder, said = tmp_path_factory.mktemp("study") / "out", []
    with recorded("all") as told:
        done = run_study(plan, folder, progress=Progress(lambda at, of, what: said.append((at, of, what))))
    return plan, folder, done, said, told


def test_every_cell_is_a_row_with_its_numbers(studied):
    plan, folder, done, *_ = studied
    rows = table(folder)
    assert (done.cells, done.reused, done.failed) == (4, 0, {})
    assert {row.cell for row in rows} == {cell.key for cell in plan.plan.cells}
    assert {row.plan for row in rows} == {plan_digest(plan.plan)}
    for row in rows:
        counts = GroupCounts.from_json(json.loads(row.counts))
        people = (plan.config.base / "people.csv").read_text().split()
        assert counts.n == sum(line.endswith(",audit") for line in people)
        assert row.accuracy > 0.8
        assert 0 < row.packed_bytes < row.bytes
        assert (row.params, row.macs) == (2 * 16 + 16 + 16 * 8 + 8 + 8 * 2 + 2, 2 * 16 + 16 * 8 + 8 * 2)
        assert row.refit_rows.endswith("validation rows")
        assert row.p90_ms is None
        assert row.runtime == f"onnxruntime {onnxruntime.__version__}"
    assert len(values_of(rows, "gap").cells) == 4


def passes(stage):
    """How often each stage was passed, wherever it was."""
    found = Counter({stage.name: stage.passes})
    for part in stage.parts.values():
        found += passes(part)
    return found


def test_cells_share_a_probe_and_each_opens_its_file_once(studied):
    found = passes(studied[4])
    assert found["row"] == found["asking the target to load"] == 4
    assert found["asking the target to hello"] == 1
    assert found["exporting to ONNX"] == found["training"] == 2


@pytest.mark.long
def test_cells_share_the_float_file_of_a_pruned_network(tmp_path):
    plan = PLAN.replace("[none, int8]", "[prune 0.5, prune 0.5 + int8]")
    with recorded("all") as told:
        assert run_study(given(tmp_path, plan), tmp_path / "out").failed == {}
    found = passes(told)
    assert found["row"] == 4
    assert found["exporting to ONNX"] == 4, "a dense network and a pruned one of each seed"


def test_a_compressed_file_is_paired_with_the_dense_one_of_its_seed(studied):
    rows = {(row.extent, row.seed): row for row in table(studied[1])}
    assert rows["int8", 0].bits == 8
    assert rows["int8", 0].flips_dense is not None
    assert rows["none", 0].flips_dense is None
    assert rows["int8", 0].parent == rows["none", 0].parent != rows["none", 1].parent
    assert json.loads(rows["int8", 1].paired_dense)["classes"] == ["no", "yes"]
    assert rows["int8", 1].paired_control is None


def test_one_training_serves_all_extents_of_a_seed(studied):
    assert len([path for path in (studied[1] / "stages" / "runs").iterdir() if not path.name.startswith(".")]) == 2


def test_the_folder_holds_the_plan_as_it_was_given_and_resolved(studied):
    plan, folder, *_ = studied
    content = json.loads((folder / "plan.json").read_text())
    assert read_plan((folder / "plan.yaml").read_text()) == plan.plan
    assert content["digest"] == plan_digest(plan.plan)
    assert content["contrasts"][0]["name"] == "int8 minus none, treatment none"
    assert (folder / "table.csv").read_text().count("\n") == 5


def test_progress_counts_cells_and_says_what_is_left(studied):
    steps = [item for item in studied[3] if item[1]]
    assert [at for at, *_ in steps] == [0, 1, 2, 3, 4]
    assert "left" in steps[1][2]


def test_a_second_run_makes_nothing(studied, monkeypatch):
    plan, folder, *_ = studied
    monkeypatch.setattr(running, "Workshop", None)
    before = {path: path.stat().st_mtime_ns for path in (folder / "rows").iterdir()}
    assert run_study(plan, folder).reused == 4
    assert {path: path.stat().st_mtime_ns for path in (folder / "rows").iterdir()} == before


def test_a_row_that_is_lost_comes_back_the_same_and_the_others_stay(studied):
    plan, folder, *_ = studied
    before = table(folder)
    next(path for path in (folder / "stages" / "decisions").iterdir()).unlink()
    compressed = next(key for key, row in rows_in(folder).items() if row["bits"] == 8)
    (folder / "rows" / f"{compressed}.json").write_text("{")
    assert run_study(plan, folder).reused == 2
    assert without_times(table(folder)) == without_times(before)


def test_a_cell_that_fails_is_a_row_with_its_error_and_is_tried_again(studied, monkeypatch):
    plan, folder, *_ = studied
    before = table(folder)
    compressed = next(key for key, row in rows_in(folder).items() if row["bits"] == 8)
    (folder / "rows" / f"{compressed}.json").unlink()
    with monkeypatch.context() as patched:

        def fails(*_):
            raise ModelError("no node can be quantized")

        patched.setattr(work, "make_file", fails)
        assert [*run_study(plan, folder).failed.values()] == ["no node can be quantized"]
    assert [row.error for row in table(folder) if row.status == "failed"] == ["no node can be quantized"]
    assert run_study(plan, folder).failed == {}
    assert without_times(table(folder)) == without_times(before)


def test_a_full_disk_ends_the_study_and_keeps_what_is_done(studied, monkeypatch):
    plan, folder, *_ = studied
    before = table(folder)
    compressed = next(key for key, row in rows_in(folder).items() if row["bits"] == 8)
    content = (folder / "rows" / f"{compressed}.json").read_bytes()
    (folder / "rows" / f"{compressed}.json").unlink()

    def full(*_):
        raise OSError(28, "No space left on device", "x")

    with monkeypatch.context() as patched:
        patched.setattr(work, "make_file", full)
        with pytest.raises(UsageError, match="No space left on device"):
            run_study(plan, folder)
    assert len(table(folder)) == 3
    (folder / "rows" / f"{compressed}.json").write_bytes(content)
    run_study(plan, folder)
    assert table(folder) == before


def test_rows_of_other_code_are_said_and_not_mixed(studied, monkeypatch):
    plan, folder, *_ = studied
    other = {**running.environment("auto"), "code": "another"}
    monkeypatch.setattr(running, "environment", lambda _: other)
    monkeypatch.setattr(running, "carry_out", lambda *_: None)
    done = run_study(plan, folder)
    assert (done.reused, len(table(folder))) == (0, 0)
    assert "4 rows" in done.notes[0]
    assert "not mixed" in done.notes[0]


def test_rows_trained_on_a_gpu_are_not_those_of_a_cpu_however_the_device_was_chosen(studied, monkeypatch):
    plan, folder, *_ = studied

    def setup(device):
        train = plan.config.train.model_copy(update={"device": device, "memory_mb": 1})
        config = plan.config.model_copy(update={"train": train})
        return running.setup_of(replace(plan, config=config), folder, "rows")

    on_cpu = running.setup_of(plan, folder, "rows")
    assert (setup("cpu").rows, setup("cpu").trainings) == (on_cpu.rows, on_cpu.trainings)
    keys.environment.cache_clear()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    try:
        on_gpu = setup("auto")
        assert {*on_gpu.rows.values()}.isdisjoint(on_cpu.rows.values())
        assert {*on_gpu.trainings.values()}.isdisjoint(on_cpu.trainings.values())
        assert setup("cpu").rows == on_cpu.rows
        assert work.Workshop(on_cpu)(Task("x", "training", 0)).fatal is not None
    finally:
        keys.environment.cache_clear()


def test_a_folder_keeps_to_one_plan(studied):
    plan, folder, *_ = studied
    other = given(plan.config.base, PLAN.replace("seeds: 2", "seeds: 3"))
    with pytest.raises(UsageError, match="another plan"):
        run_study(other, folder)


@pytest.mark.parametrize("form", ["terminal", "json", "html"])
def test_a_run_and_what_is_foreseen_are_results_in_every_form_that_holds_them(studied, form):
    plan, folder, done, *_ = studied
    for result in (done, foresee(plan, folder)):
        stream = io.StringIO()
        open_format(form).write([Item(result)], stream)
        text = stream.getvalue()
        assert "people" in text
        if form == "json":
            assert json.loads(text)["schema"] == result.schema
        if form == "html":
            assert next(iter(result.lines)) in html.unescape(text)


def test_a_plan_says_how_long_it_takes_before_a_cell_of_it_is_there(studied, tmp_path):
    plan = given(studied[0].config.base, PLAN + "cell_seconds: 90\n")
    found = foresee(plan, tmp_path / "new")
    assert (found.seconds, found.measured, found.done) == (360.0, False, 0)
    assert "about 6 min in one worker" in " ".join(found.lines)
    assert plan_digest(plan.plan) == plan_digest(studied[0].plan)


@pytest.mark.long
def test_a_report_of_a_study_that_was_killed_has_the_rows_of_its_last_moments(studied, monkeypatch, tmp_path):
    plan, _, *_ = studied

    def killed(self, task, done):
        self._store.write_row(task.name, {"status": "done", **done.row})
        raise SystemError("as if it were killed")

    with monkeypatch.context() as patched:
        patched.setattr(running.Store, "write_table", lambda *_: None)
        patched.setattr(running._Book, "enter", lambda self, task, done: done.row and killed(self, task, done))
        with pytest.raises(SystemError):
            run_study(plan, tmp_path / "out")
    assert not (tmp_path / "out" / "table.parquet").exists()
    with monkeypatch.context() as patched:
        patched.setattr(running, "carry_out", lambda *_: (_ for _ in ()).throw(SystemError("killed at once")))
        with pytest.raises(SystemError):
            run_study(plan, tmp_path / "out")
    assert len(table(tmp_path / "out")) == 1
    # and while it runs, it is never long behind
    monkeypatch.setattr(running, "TABLE_S", 0.0)
    seen = []
    run_study(plan, tmp_path / "out", progress=Progress(lambda *_: seen.append(len(table(tmp_path / "out")))))
    assert {2, 3, 4} <= {*seen}


def test_keys_of_the_plan_are_set_beside_those_of_the_project(studied):
    path = str(studied[0].config.base / "plan.yaml")
    other = open_plan(path, {"plan.seeds": 3, "plan.factors.extent": ["none", "fp16"], "train.epochs": 2})
    assert len(other.plan.cells) == 6
    assert other.config.train.epochs == 2
    assert read_plan(other.text) == other.plan
    with pytest.raises(UsageError, match="'study' holds no keys"):
        open_plan(path, {"plan.study.x": 3})


def test_a_worker_of_other_code_ends_the_study(studied, monkeypatch, tmp_path):
    monkeypatch.setattr(work, "environment", lambda _: {**running.environment("auto"), "code": "changed"})
    with pytest.raises(MeasurementError, match="a worker of the study has code changed and not"):
        run_study(studied[0], tmp_path / "out")
    assert table(tmp_path / "out") == ()


@pytest.mark.long
def test_every_file_is_timed_beside_the_dense_one_where_the_plan_asks(studied, tmp_path):
    plan = given(studied[0].config.base, PLAN.replace("seeds: 2", "seeds: [0, 1]") + "latency: true\n")
    assert run_study(plan, tmp_path / "out").failed == {}
    rows = {(row.extent, row.seed): row for row in table(tmp_path / "out")}
    assert all(0 < row.p50_ms <= row.p90_ms for row in rows.values())
    assert rows["none", 0].speed_up is None
    small = rows["int8", 0]
    assert 0 < small.speed_up_lower <= small.speed_up <= small.speed_up_upper


def test_what_is_foreseen_tells_of_cells_time_and_of_the_smallest_effect(studied):
    plan, folder, *_ = studied
    run_study(plan, folder)
    found = foresee(plan, folder)
    assert (found.cells, found.done, found.seconds, found.measured) == (4, 4, 0.0, True)
    assert found.trainings == {"dense": 2, "anew": 0, "fine-tunes": 0, "saved": 2}
    assert found.visible[0.01] > 0.1  # two seeds
    assert any("no claim" in line for line in found.lines)
