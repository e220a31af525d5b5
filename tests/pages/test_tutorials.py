"""Every tutorial and how-to page is carried out as it stands: what it says to type is typed, and what it shows comes out."""

import shutil
from pathlib import Path

import pytest

from tests.pages.reading import steps
from tests.pages.shell import carry_out

DOCS = Path(__file__).parents[2] / "docs"
FIRST = "tutorials/table.md"
# Pages that go on in the folder of the first tutorial, and say so.
GO_ON = ("tutorials/your-model.md", "tutorials/study.md", "tutorials/ci-github.md")
BY_THEMSELVES = ("tutorials/pictures.md", "tutorials/texts.md")
HOW_TO = tuple(sorted(f"howto/{path.name}" for path in (DOCS / "howto").glob("*.md") if path.name != "README.md"))


@pytest.fixture(scope="session")
def first(tmp_path_factory):
    """The folder that the first tutorial leaves; not to be written to."""
    folder = tmp_path_factory.mktemp("first") / "people"
    folder.mkdir()
    carry_out(DOCS / FIRST, folder, tmp_path_factory.mktemp("tools"))
    return folder


def test_the_first_tutorial_goes_from_a_csv_file_to_a_model_that_ships(first):
    assert (first / "dist/people/model.onnx").exists()


@pytest.mark.long
@pytest.mark.parametrize("page", [*GO_ON, *HOW_TO])
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
    assert {f"tutorials/{path.name}" for path in (DOCS / "tutorials").glob("*.md")} == carried


@pytest.mark.parametrize("page", sorted(DOCS.glob("tutorials/*.md")), ids=lambda path: path.name)
def test_a_tutorial_shows_a_language_for_every_block_and_something_of_what_comes_out(page):
    assert "\n\n```\n" not in page.read_text()
    assert any(getattr(step, "shown", ()) for step in steps(page))
