"""One result in several formats, each at its place."""

import html
import json
from dataclasses import replace

import pytest

from edgefair.errors import UsageError
from edgefair.report.formats import FORMATS, open_format
from edgefair.report.output import Output, outputs_of, write_result
from edgefair.report.results.diagnosis import Diagnosis, Exposure
from tests.report.rich_results import rich

CELL = Exposure("Female", "yes", 10, 0.5, 10, 0, loss=0.25)
RESULT = Diagnosis("fair", "people.csv", 20, 10, 0.05, 1.0, ("sex",), (CELL,), ())


def test_people_read_the_terminals_format_unless_another_one_is_asked_for_on_stdout():
    assert outputs_of([]) == (Output("terminal"),)
    assert outputs_of(["json"]) == outputs_of([], as_json=True) == outputs_of(["json"], as_json=True)
    assert outputs_of(["json"]) == (Output("json"),)


def test_a_file_is_written_beside_what_stdout_shows(tmp_path, capsys):
    file = tmp_path / "a.json"
    write_result(RESULT, outputs_of([f"json={file}"]))
    assert json.loads(file.read_text()) == json.loads(json.dumps(RESULT.to_json()))
    assert "Female" in capsys.readouterr().out


def test_a_format_for_people_can_go_to_a_file_and_json_to_stdout(tmp_path, capsys):
    file = tmp_path / "a.txt"
    write_result(RESULT, outputs_of([f"terminal={file}"], as_json=True))
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(RESULT.to_json()))
    assert "Female" in file.read_text()
    assert "\x1b" not in file.read_text()


@pytest.mark.parametrize(
    ("named", "message"),
    [
        (["jsn"], "unknown format 'jsn' .did you mean 'json'"),
        (["json", "terminal"], "several formats would be written to stdout"),
        (["json=a", "terminal=a"], "several formats would be written to 'a'"),
        (["json=absent/a"], "no folder 'absent'"),
    ],
)
def test_what_cannot_be_written_is_refused_before_the_work(named, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=message):
        outputs_of(named)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [name for name, known in FORMATS.items() if known.holds])
def test_what_holds_verdicts_alone_refuses_a_comparison_before_the_work(name, tmp_path):
    with pytest.raises(UsageError, match=f"'{name}' holds verdicts .* and no other") as raised:
        outputs_of([f"{name}={tmp_path / 'file'}"], schemas=["edgefair.compare/1"])
    assert raised.value.expected == "one of terminal, json, html"


def test_every_format_of_the_table_opens():
    for name in FORMATS:
        assert callable(open_format(name).write)


def test_every_form_names_the_layer_that_two_devices_begin_to_differ_in(tmp_path, capsys):
    report = rich()
    report = replace(report, targets=(*report.targets, replace(report.targets[0], target="pi-4")))
    page, text = tmp_path / "a.html", tmp_path / "a.md"
    write_result(report, outputs_of([f"html={page}", f"markdown={text}"], schemas=[report.schema]))
    said = "local and pi-4 begin to differ in Conv '/stem/Conv' (weight 'stem.weight'): from inputs that agree"
    for written in (page.read_text(), text.read_text(), capsys.readouterr().out):
        assert said in " ".join(html.unescape(written).split())
