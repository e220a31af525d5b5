"""Names with markup, escape sequences, line breaks, formulas: shown, obeyed by nobody, and nothing fails."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Group
from rich.text import Text

import edgefair.targets.transports.zipapp
from edgefair.report.charts.contact_sheet import SheetCell, contact_sheet
from edgefair.report.charts.heat_map import Panel, heat_map
from edgefair.report.charts.pixels import picture
from edgefair.report.escape import csv_cell, one_line
from edgefair.report.terminal.console import INDENT, PlainConsole
from edgefair.report.terminal.tables import plain_table
from tests.attacks.hostile_names import (
    PLAN,
    ROWS,
    ROWS_IN_A_PAGE,
    TAME,
    assert_obeys_nobody,
    commands,
    exemplars,
    make_project,
    run,
)

VERDICT = "PASS may ship  dist/people"
# Folds in a terminal of 120 letters, and in a narrow column, so that the verdict would begin a line.
FOLDED = f"{'x' * 30} {VERDICT} {'y' * 60} {VERDICT}"
HOSTILE = {
    "markup": {"groups": ("[/]", "[conceal]f"), "attribute": "se[/x]x", "classes": ("[/]", "[red]"), "feature": "[b]"},
    "link": {"groups": ("[link=file:///etc/passwd]m[/link]", ":smile:"), "classes": (":pile_of_poo:", "[@click=x]")},
    "escape": {
        "groups": ("\x1b[31mf", "\x1b]0;title\x07m"),
        "attribute": "s\x9b31m",
        "classes": ("\x1b[2J", "yes\x08\x08\x08no"),
        "feature": "a\x1b[1A",
    },
    "lines": {
        "groups": (f"f\n{VERDICT}", f"m\r{VERDICT}"),
        "attribute": f"sex\u2028{VERDICT}",
        "classes": (f"no\x0b{VERDICT}", f"yes\x85{VERDICT}"),
        "feature": f"a\n{VERDICT}",
    },
    "verdict": {"groups": (VERDICT, FOLDED), "attribute": f"{VERDICT} sex", "classes": (VERDICT, FOLDED)},
    "unseen": {"groups": ("\u202eevil", "f\u200b"), "attribute": "se\u2066x", "classes": ("no", "no\ufe0f")},
    "formula": {
        "groups": ("=cmd|'/c calc'!A1", "@SUM(1)"),
        "attribute": "+sex",
        "classes": ("-1", "+cmd"),
        "feature": "=a",
    },
    "joined": {"groups": ("a*b", "a\\*b"), "attribute": "s*x", "classes": ("n|o", "y / es, no: 1")},
}

# What it told a terminal first, and then a program.
TWICE = """
from edgefair.cli import main
for flags in ((), ("--json",)):
    try:
        main(["verify", "m.onnx", "--no-latency", *flags])
    except SystemExit as done:
        if done.code:
            raise
"""


@pytest.fixture(scope="module")
def tame_codes(tmp_path_factory):
    folder = make_project(tmp_path_factory.mktemp("tame"), **TAME)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return [run(*command).exit_code for command in commands()]


@pytest.mark.parametrize("kind", HOSTILE)
def test_every_command_ends_as_with_tame_names_and_prints_nothing_but_letters(kind, tmp_path, monkeypatch, tame_codes):
    names = TAME | HOSTILE[kind]
    make_project(tmp_path, **names)
    monkeypatch.chdir(tmp_path)
    results = [run(*command) for command in commands()]
    for result in results:
        assert_obeys_nobody(result)
    assert [result.exit_code for result in results] == tame_codes == [0, 0, 0, 0, 0, 3, 3, 1, 3]
    verified, shipped = results[:2]
    assert verified.stdout.startswith("PASS may ship  m.onnx\n")
    assert shipped.stdout.startswith("PASS may ship  ")
    # In the table and in the comparison that binds.
    assert all(verified.stdout.count(one_line(group)) >= 2 for group in names["groups"] if group != FOLDED)
    counts = json.loads((tmp_path / "report.json").read_text())["targets"][0]["counts"]
    page = (tmp_path / "rows.html").read_text()
    assert one_line(names["feature"]).replace("&", "&amp;") in page
    assert not [line for line in page.split("\n") if not line.isprintable()]
    assert (counts["attributes"], counts["classes"]) == ([names["attribute"]], list(names["classes"]))
    assert sorted(group for (group,) in counts["groups"]) == sorted(names["groups"])


@pytest.mark.parametrize("kind", ["lines", "escape"])
def test_a_plan_names_what_decides_against_a_model(kind, tmp_path, monkeypatch):
    make_project(tmp_path, **TAME | HOSTILE[kind])
    monkeypatch.chdir(tmp_path)
    planned = run(*PLAN)
    assert_obeys_nobody(planned)
    assert planned.exit_code == 0
    said = planned.stdout.partition("decides most often against it")[2]
    assert one_line(HOSTILE[kind]["attribute"]) in said


def test_a_device_that_writes_in_its_fingerprint_writes_nowhere_else(tmp_path, monkeypatch):
    """What a processor calls itself comes from the device, a lone surrogate and a fake verdict with it."""
    cpu = "\x1b[2J[/]\n" + VERDICT + "\ud800\u202e"
    lie = f"import edgefair.probe.device as device\ndevice._cpu_model = lambda: {cpu!r}\n"
    monkeypatch.setattr(
        edgefair.targets.transports.zipapp, "MAIN", lie.encode() + edgefair.targets.transports.zipapp.MAIN
    )
    make_project(tmp_path, **TAME)
    monkeypatch.chdir(tmp_path)
    results = [run(*command) for command in (*commands(), ("target", "probe", "local"))]
    for result in results:
        assert_obeys_nobody(result)
    assert [result.exit_code for result in results] == [0, 0, 0, 0, 0, 3, 3, 1, 3, 0]
    assert r"\x1b[2J[/]\nPASS may ship  dist/people\ud800\u202e, onnxruntime" in results[0].stdout
    manifest = json.loads((tmp_path / "dist/people/manifest.json").read_text())
    assert manifest["targets"][0]["cpu"] == cpu


def test_files_with_such_names_are_read_written_and_named_on_one_line(tmp_path, monkeypatch):
    bad = f"\x1b[31m[red]\n{VERDICT[:13]}"
    make_project(tmp_path, **TAME, source=f"people{bad}.parquet", model=f"m{bad}.onnx")
    monkeypatch.chdir(tmp_path)
    for command in commands(f"m{bad}.onnx", f"dist{bad}"):
        result = run(*command)
        assert_obeys_nobody(result)
        assert result.exit_code in {0, 1, 3}, result.output
    absent = run("verify", f"absent{bad}.onnx")
    assert_obeys_nobody(absent)
    assert absent.exit_code == 2
    assert absent.stderr.startswith("error: no bundle or model file 'absent\\x1b[31m[red]\\nPASS may ship.onnx'\n")
    assert_obeys_nobody(run("verify", "a", f"b{bad}"))
    assert_obeys_nobody(run("--debug", "verify", f"absent{bad}.onnx"))


def test_training_and_its_hints_print_hostile_names(tmp_path, monkeypatch):
    make_project(tmp_path, **TAME | HOSTILE["lines"] | {"groups": ("[/]\x1b[31m", FOLDED)})
    monkeypatch.chdir(tmp_path)
    for command in (
        ("train", "--name", "plain", "--debias", "reweigh"),
        ("diagnose", "--rows", "16"),
        ("explain", "m.onnx", "--rows", "16", "--plot", "heat.png", *ROWS_IN_A_PAGE),
        ("export", "--run", "plain", "--int8", "--no-latency", "--min-balanced-accuracy", "0.5", "--post", "threshold"),
    ):
        result = run(*command)
        assert_obeys_nobody(result)
        assert result.exit_code == 0, result.output
    page = (tmp_path / "rows.html").read_text()
    assert "some of the validation rows that are decided otherwise" in page
    assert not [line for line in page.split("\n") if not line.isprintable()]


@pytest.mark.e2e
@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_that_lacks_letters_loses_no_result(tmp_path, encoding):
    make_project(tmp_path, **TAME | {"groups": ("\u5973", "gr\u00f6\u00dfe\U0001f600")})
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", TWICE], cwd=tmp_path, env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr
    told, _, report = done.stdout.partition(b"{")
    assert told.startswith(b"PASS may ship  m.onnx")
    groups = json.loads(b"{" + report)["targets"][0]["counts"]["groups"]
    assert groups == [["gr\u00f6\u00dfe\U0001f600"], ["\u5973"]]


@pytest.mark.e2e
def test_a_folder_whose_name_is_no_text_takes_a_bundle(tmp_path):
    """A name that is not UTF-8 reaches Python as lone surrogates."""
    make_project(tmp_path, **TAME)
    command = [sys.executable, "-m", "edgefair", "export", "m.onnx", "--no-latency", "-o", b"dist/\xff\x1b[31m"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert b"\x1b" not in done.stdout + done.stderr
    assert rb"dist/\udcff\x1b[31m" in done.stdout
    assert (Path(os.fsdecode(os.fsencode(tmp_path) + b"/dist/\xff\x1b[31m")) / "manifest.json").is_file()


def test_a_lone_surrogate_in_the_policy_is_refused_before_anything_is_measured(tmp_path, monkeypatch):
    make_project(tmp_path, **TAME)
    text = (tmp_path / "edgefair.yaml").read_text()
    for place in ("      - f\n", "    sex:\n"):
        assert place in text
        bad = place.replace("f", '"\\ud800"').replace("sex", '"\\ud800"')
        (tmp_path / "edgefair.yaml").write_text(text.replace(place, bad))
        monkeypatch.chdir(tmp_path)
        refused = run("verify", "m.onnx", "--no-latency")
        assert_obeys_nobody(refused)
        assert refused.exit_code == 2, refused.output


def test_init_writes_names_that_it_reads_back(tmp_path, monkeypatch):
    names = TAME | {"groups": ("f\x7f\u202e\x85", "m\ufe0f\U0001f600"), "attribute": "s*x\\"}
    make_project(tmp_path, **names)
    monkeypatch.chdir(tmp_path)
    made = run("init", "--data", "people.parquet", "--label", "label", "--positive", "yes", "--sensitive", "s*x\\",
               "--exclude", "id", "--force")  # fmt: skip
    assert made.exit_code == 0, made.output
    policy = yaml.safe_load((tmp_path / "edgefair.yaml").read_text())["policy"]
    assert policy["attributes"] == {r"s\*x\\": {"groups": sorted(names["groups"])}}
    assert run("data", "describe").exit_code == 0


# Exemplars ----------------------------------------------------------------------------------------------------------


def test_exemplars_hold_no_formula_and_numbers_stay_numbers(tmp_path, monkeypatch):
    make_project(tmp_path, **TAME | HOSTILE["formula"])
    monkeypatch.chdir(tmp_path)
    assert run("compare", "m.onnx", "other.onnx", "--exemplars", "changed.csv").exit_code == 0
    changed = exemplars(tmp_path)
    assert 0 < len(changed) < ROWS
    assert {row["'+sex"] for row in changed} == {"'=cmd|'/c calc'!A1", "'@SUM(1)"}
    assert {row["label"] for row in changed} == {"-1", "'+cmd"}


@pytest.mark.parametrize("number", ["-1", "+2.5", "-.5", "3", "-1e-9", "+7.", "0"])
def test_a_number_is_no_formula(number):
    assert csv_cell(number) == number


@pytest.mark.parametrize(
    "formula", ["=1+1", "+1+1", "-2+3", "@A1", "\t=1", "\r=1", "\n=1", " =1", "＝1", "-1_0", "+inf", "-"]
)
def test_what_could_be_a_formula_is_text(formula):
    assert csv_cell(formula) == f"'{formula}"


# The escaping itself ------------------------------------------------------------------------------------------------

any_text = st.text(st.characters(), max_size=40) | st.text(
    "\x00\x1b\n\r\t\x7f\x9b\u200d\u202e\u2028\ufeff\ud800[]/a:b", max_size=40
)


@given(any_text)
def test_any_text_is_one_line_of_letters_that_are_seen(text):
    shown = one_line(text)
    assert shown.isprintable()
    assert one_line(shown) == shown
    assert shown == text or not text.isprintable() or any(ord(letter) > 0x34E for letter in text)
    shown.encode()


def printed(renderable, width=40):
    stream = io.StringIO()
    PlainConsole(file=stream, width=width).print(renderable)
    return stream.getvalue()


@given(any_text.filter(lambda text: text.strip()), st.integers(8, 60))
def test_whatever_is_printed_shows_every_letter_and_begins_one_line(text, width):
    named = plain_table(text)
    named.add_column(text, overflow="fold")
    named.add_row(text)
    named.add_row(Text(text, style="red"))
    for renderable in (text, Text(text, style="bold"), Group(text), named):
        lines = printed(renderable, width).split("\n")
        assert all(line.isprintable() for line in lines)
        assert all(line.startswith(" ") for line in (lines if renderable is named else lines[1:]) if line)
    shown = "".join(printed(text, width).split())
    assert shown == "".join(one_line(text).split())


def test_styles_stay_where_they_were_and_markup_is_text():
    stream = io.StringIO()
    console = PlainConsole(file=stream, width=60, force_terminal=True, color_system="standard", legacy_windows=False)
    console.print(Text.assemble(("a\x1bb ", "green"), ("PASS", "bold red"), " [red]c[/red] :smile:"))
    assert stream.getvalue() == "\x1b[32ma\\x1bb \x1b[0m\x1b[1;31mPASS\x1b[0m [red]c[/red] :smile:\n"


def test_a_long_line_goes_on_indented():
    assert printed("a" * 30 + " " + "PASS may ship", width=32).split("\n")[1] == " " * INDENT + "PASS may ship"
    right = plain_table()
    right.add_column("n", justify="right", width=6)
    right.add_row("12 345 678")
    right.add_row("123456")
    assert [line.rstrip() for line in printed(right).split("\n")] == [
        "      n",
        "     12",
        "    345",
        "    678",
        " 123456",
        "",
    ]


@pytest.mark.parametrize("name", [*(group for names in HOSTILE.values() for group in names["groups"]), "\ud800", "\0"])
def test_pictures_can_hold_any_name(name):
    sheet = contact_sheet([SheetCell(name, name, 1, ())], title=name)
    drawn = picture(heat_map(name, [name], [name], [Panel("loss", [[0.5]], "+.2f")]))
    assert min(*sheet.size, *drawn.size) > 0
