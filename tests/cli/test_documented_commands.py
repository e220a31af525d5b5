"""What the documentation tells to type, to run or to open is there."""

import re
import shlex

import click
import pytest

from benchmarks.false_pass.played import modules, scenarios_of
from edgefair.cli import main
from tests.documents.blocks import DOCUMENTS, ROOT

EACH = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s:]+)\)")


def anchors(path):
    """Names that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@EACH
def test_a_link_leads_to_a_file_and_to_a_heading_of_it(document):
    for link in LINK.findall(document.read_text()):
        name, _, anchor = link.partition("#")
        target = document.parent / name if name else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


CONTEXT = click.Context(main)


def default_of(command):
    """The command of a group that is meant where none of its commands is named; None for others."""
    return command.commands[command.default] if hasattr(command, "default") else None


def check_line(line):
    """That the commands and options of a line are there."""
    words = shlex.split(line, comments=True)
    command = main
    for word in words[1:]:
        if not isinstance(command, click.Group) or word.startswith("-"):
            break
        command = command.get_command(CONTEXT, word) or default_of(command)
        assert command is not None, line
    command = default_of(command) or command
    known = {option for item in command.params for option in (*item.opts, *item.secondary_opts)}
    used = {word.partition("=")[0] for word in words if word.startswith("--")}
    assert used <= known | {"--help", "--version"}, line


def commands(command, *names):
    """Every command that does something, by what one types."""
    if not isinstance(command, click.Group):
        return {" ".join(names): command}
    inner = {name: command.get_command(CONTEXT, name) for name in command.list_commands(CONTEXT)}
    return {typed: found for name, one in inner.items() for typed, found in commands(one, *names, name).items()}


@pytest.mark.parametrize(("typed", "command"), commands(main).items())
def test_the_help_of_a_command_has_an_example_of_it_with_options_that_there_are(typed, command):
    lines = [line.strip() for line in command.help.replace("\\\n", " ").splitlines()]
    examples = [line for line in lines if line.startswith(f"edgefair {typed}")]
    assert examples
    for part in " && ".join(examples).split(" && "):
        check_line(part)


@EACH
def test_what_stands_as_a_file_of_the_sources_or_tests_exists(document):
    for code in CODE.findall(document.read_text()):
        for word in code.split():
            if re.fullmatch(r"(edgefair|tests|benchmarks|tools|examples|deploy|calibration)/[\w/.]+", word):
                assert (ROOT / word).exists(), code


@EACH
def test_a_documented_choice_of_tests_chooses_some(document):
    for code in CODE.findall(document.read_text()):
        chosen = re.search(r'-k ("[^"]+"|\w+)', code) if code.startswith("pytest ") else None
        texts = [(ROOT / word).read_text() for word in code.split() if word.startswith("tests/")] if chosen else []
        for word in chosen[1].strip('"').split(" or ") if chosen else ():
            assert any(re.search(rf"def test_\w*{word}\w*\(", text) for text in texts), code


def test_documented_scenarios_are_played():
    text = "".join(path.read_text() for path in DOCUMENTS)
    named = {name.strip('"') for name in re.findall(r'false_pass --only ("[^"]+"|\w+)', text)} | set(
        re.findall(r"`F (\w+)`", text)
    )
    assert len(named) > 8
    known = {name for module in modules() for name in scenarios_of(module, False)}
    for name in named - {"NAME"}:
        assert name in modules() or any(name in scenario for scenario in known), name


def test_modules_that_the_statisticians_page_names_exist():
    text = (ROOT / "docs/verdict-statistics.md").read_text()
    named = re.findall(r"`((?:measure|decision|workflow|bundle|probe)/[\w/.]*)`", text)
    assert len(named) > 20
    assert not [name for name in named if not (ROOT / "edgefair" / name).exists()]
