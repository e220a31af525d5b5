"""Whoever labels more rows than were drawn can choose them: the easy ones of the group that fares badly."""

from tests.e2e.commands import edit, refused
from tests.e2e.test_label_budget import ids_in, plan, project, write_people  # noqa: F401


def test_labels_of_rows_that_were_not_drawn_are_refused(project):  # noqa: F811
    assert plan(project, 1800).exit_code == 0
    chosen = set(ids_in(project / "todo.csv"))
    picked = next(name for name in (f"p{index}" for index in range(8000)) if name not in chosen)
    write_people(project, {*chosen, picked})
    edit(project, data__label_design="todo.design.json")
    said = refused(project, "verify", project / "int8.onnx", "--no-latency")
    assert f"1 audit rows have a label and were not chosen by the label design, for example '{picked}'" in said
    assert "would bias every rate" in said


def test_a_design_whose_draw_was_moved_to_picked_rows_is_refused(project):  # noqa: F811
    assert plan(project, 1800).exit_code == 0
    chosen = ids_in(project / "todo.csv")
    write_people(project, set(chosen))
    design = (project / "todo.design.json").read_text()
    (project / "todo.design.json").write_text(design.replace('"seed":0', '"seed":1'))
    edit(project, data__label_design="todo.design.json")
    assert "were not chosen by the label design" in refused(project, "verify", project / "int8.onnx", "--no-latency")
