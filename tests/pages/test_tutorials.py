"""Tutorials and how-to pages are carried out as they stand: what they say is typed, and what they show comes out."""

import shutil
from pathlib import Path

import pytest

from tests.cli.test_documented_commands import check_line
from tests.pages.conftest import FIRST
from tests.pages.reading import Typed, steps
from tests.pages.shell import DOCS, carry_out

# Pages that go on in the folder of the first tutorial, and say so.
GO_ON = ("tutorials/your-model.md", "tutorials/study.md", "tutorials/ci-github.md")
BY_THEMSELVES = ("tutorials/pictures.md", "tutorials/texts.md", "coming-from/fairlearn.md")


def pages(folder):
    """Pages of a folder, but the one that lists them."""
    return [f"{folder}/{path.name}" for path in sorted((DOCS / folder).glob("*.md")) if path.name != "README.md"]


def test_the_first_tutorial_goes_from_a_csv_file_to_a_model_that_ships(first):
    assert (first / "dist/people/model.onnx").exists()


@pytest.mark.long
@pytest.mark.parametrize("page", [*GO_ON, *pages("howto")])
def test_a_page_that_goes_on_from_there_does_what_it_says(first, page, tmp_path):
    folder = Path(shutil.copytree(first, tmp_path / "people"))
    carry_out(DOCS / page, folder, tmp_path / "tools")


@pytest.mark.long
@pytest.mark.parametrize("page", BY_THEMSELVES)
def test_a_page_that_begins_in_an_empty_folder_does_what_it_says(page, tmp_path):
    folder = tmp_path / "empty"
    folder.mkdir()
    carry_out(DOCS / page, folder, tmp_path / "tools")


def test_no_tutorial_is_left_out():
    carried = {FIRST, *GO_ON, *BY_THEMSELVES, "tutorials/raspberry-pi.md", "tutorials/npu.md"}
    assert set(pages("tutorials")) == carried - {"coming-from/fairlearn.md"}


@pytest.mark.parametrize("page", [*pages("tutorials"), *pages("howto"), *pages("coming-from")])
def test_what_a_page_says_to_type_has_the_options_that_it_is_told_to_have(page):
    for step in steps(DOCS / page):
        line = getattr(step, "command", "")
        if line.startswith("edgefair "):
            check_line(line.partition(" | ")[0].replace("\\\n", " "))


@pytest.mark.parametrize("page", pages("tutorials"))
def test_a_tutorial_names_the_language_of_what_is_typed_and_shows_some_of_what_comes_out(page):
    found = [step for step in steps(DOCS / page) if isinstance(step, Typed)]
    assert any(set(step.shown) - {"..."} for step in found), page
