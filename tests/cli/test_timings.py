"""Where the time of a command went: every second of it, in stages, however it ended."""

import json
import sys
import threading

import click
import pytest
from click.testing import CliRunner

from edgefair.cli import COMMANDS, main
from edgefair.cli.timings import lines_of
from edgefair.progress import Progress, Stage, is_recorded, join, recorded, timed
from edgefair.targets import load_profile
from edgefair.workflow.measurement.fleet import on_each


def passes(stage, *names):
    """How often the stage of these names, one inside of the other, was passed."""
    for name in names:
        stage = stage.parts[name]
    return stage.passes


def nested():
    with timed("outer"):
        for _ in range(2):
            with timed("inner"):
                sum(range(20_000))


def test_stages_are_counted_where_they_are_and_what_they_leave_is_told_as_other():
    with recorded("all") as told:
        nested()
    assert passes(told, "outer") == 1
    assert passes(told, "outer", "inner") == 2
    outer = told.parts["outer"]
    assert outer.seconds == pytest.approx(outer.other + outer.parts["inner"].seconds)
    assert 0 < outer.parts["inner"].seconds <= outer.seconds <= told.seconds


def test_nothing_is_recorded_where_nobody_asks():
    imported = __builtins__["__import__"]
    with recorded("all") as told:
        assert is_recorded()
    nested()
    assert not is_recorded()
    assert not told.parts
    assert __builtins__["__import__"] is imported


def test_a_stage_that_raises_is_counted():
    with recorded("all") as told, pytest.raises(KeyError), timed("failing"):
        raise KeyError
    assert passes(told, "failing") == 1


def test_imports_that_load_something_are_counted_where_they_happen(tmp_path, monkeypatch):
    (tmp_path / "loaded_late.py").write_text("import loaded_with_it\n")
    (tmp_path / "loaded_with_it.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    with recorded("all") as told, timed("stage"):
        import json  # noqa: F401

        import loaded_late  # noqa: F401
    assert passes(told, "stage", "imports") == 1
    for name in ("loaded_late", "loaded_with_it"):
        del sys.modules[name]


def test_what_other_machines_do_side_by_side_is_in_the_stage_that_waits_for_them():
    elsewhere = [load_profile(f"ssh://nobody@192.0.2.{number}") for number in (1, 2)]

    def work(_profile, _told):
        with timed("deciding"):
            return threading.get_ident()

    with recorded("all") as told, timed("measuring"):
        assert threading.get_ident() not in on_each(elsewhere, work, Progress())
    assert passes(told, "measuring", "deciding") == 2


def test_another_process_adds_its_stages():
    with recorded("work") as there:
        nested()
    with recorded("all") as told, timed("cells"):
        join(there)
        join(there)
        join(None)
    assert passes(told, "cells", "outer", "inner") == 4
    assert told.parts["cells"].other == 0.0


def test_the_lines_add_up():
    told = Stage("all", 10.0, 1)
    told.part("long").end(6.0)
    told.part("long").part("inside").end(4.0, 3)
    told.part("short").end(0.001)
    said = [line.split() for line in lines_of(told)]
    assert said == [
        ["where", "the", "time", "went:", "10.00", "s"],
        ["long", "6.00", "s", "60.0%"],
        ["inside", "4.00", "s", "40.0%", "3", "times"],
        ["other", "2.00", "s", "20.0%"],
        ["other", "4.00", "s", "40.0%"],
    ]


def leaves(command, name):
    if isinstance(command, click.Group):
        for inner, found in command.commands.items():
            yield from leaves(found, f"{name} {inner}")
    else:
        yield name, command


def test_every_command_takes_the_flag():
    context = click.Context(main)
    found = dict(item for name in COMMANDS for item in leaves(main.get_command(context, name), name))
    assert len(found) > len(COMMANDS)
    flags = {name: [item for item in one.params if "--timings" in item.opts] for name, one in found.items()}
    assert all(len(items) == 1 for items in flags.values())


def told_by(*arguments, code):
    result = CliRunner().invoke(main, list(arguments))
    assert result.exit_code == code, result.output
    return result


def test_a_command_that_fails_says_where_its_time_went_after_its_error(tmp_path):
    said = told_by("verify", "nothing.onnx", "--timings", "-c", str(tmp_path / "edgefair.yaml"), code=2).stderr
    error, _, told = said.partition("where the time went:")
    assert "error: " in error
    assert "other" in told
    assert "where the time went" not in told_by("verify", "-c", str(tmp_path / "edgefair.yaml"), code=2).stderr
    assert "where the time went" in told_by("verify", "--nonsense", "--timings", code=2).stderr


def test_with_json_the_last_line_of_stderr_is_json_and_stdout_is_as_without():
    whole = told_by("study", "--list", "--json", "--timings", code=0)
    told = json.loads(whole.stderr.splitlines()[-1])
    assert told["schema"] == "edgefair.timings/1"
    assert told["seconds"] > 0
    assert whole.stdout == told_by("study", "--list", "--json", code=0).stdout
