"""What the pages of claims and results lean on is there."""

import re

import pytest

from tests.documents.blocks import ROOT

CLAIMS = (ROOT / "docs/claims.md").read_text()
# The first cell holds the claim, the last one what holds it.
ROWS = [line.strip("| ").split(" | ") for line in CLAIMS.splitlines() if re.match(r"\| (?!claim )\S.* \|$", line)]
HELD = [pytest.param(row[-1], id=row[0][:60]) for row in ROWS if not set("".join(row)) <= set("|- ")]
TARGETS = re.findall(r"^([\w-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_there_are_claims():
    assert len(HELD) > 40


@pytest.mark.parametrize("held", HELD)
def test_a_claim_names_tests_or_benchmarks_that_there_are(held):
    named = re.findall(r"`([^`]+)`", held)
    assert named
    for name in named:
        words = name.split()
        there = words[1] in TARGETS if words[0] == "make" else (ROOT / name).exists()
        assert there, name
        assert words[0] == "make" or re.match(r"(tests|benchmarks)/", name), name


@pytest.mark.parametrize("name", sorted({*re.findall(r"`(tests/[\w/.]+\.py)`", CLAIMS)}))
def test_a_file_that_a_claim_names_holds_tests(name):
    assert re.search(r"^def test_", (ROOT / name).read_text(), re.MULTILINE)


def test_results_say_the_command_of_every_table():
    text = (ROOT / "docs/results.md").read_text()
    for part in text.split("\n## ")[1:]:
        if re.search(r"\d", part) and "| " in part:
            assert re.search(r"`(make|edgefair|python) [^`]+`", part), part.partition("\n")[0]


def test_the_readme_is_two_screens_with_pictures_that_are_small_and_load_nothing():
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 110
    pictures = [ROOT / name for name in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)]
    assert {picture.suffix for picture in pictures} == {".png", ".svg"}
    for picture in pictures:
        assert picture.stat().st_size < 200_000
        loaded = (
            re.findall(rb"(?:href|src)=|@import|url\((?!#)", picture.read_bytes()) if picture.suffix == ".svg" else []
        )
        assert loaded == []


def test_the_site_begins_as_the_readme_does():
    opening = (ROOT / "README.md").read_text().partition("![")[0]
    assert (ROOT / "docs/index.md").read_text().startswith(opening)
