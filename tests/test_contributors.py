"""What contributors read is what the code is."""

import itertools
import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text()
# Folders that only serve the floors.
SERVING = {"progress", "columns"}
DECISIONS = sorted(path.name for path in (ROOT / "docs/decisions").glob("0*.md"))


def drawn():
    """Which floor of the drawing stands directly above which."""
    drawing = re.search(r"```mermaid\n(.*?)```", ARCHITECTURE, re.DOTALL).group(1)
    for line in drawing.splitlines()[1:]:
        floors = [re.findall(r"\w+", part) for part in line.split("-->")]
        yield from ((upper, lower) for above, below in itertools.pairwise(floors) for upper in above for lower in below)


def contracted():
    """The same, of the contract that the linter holds; what only serves the floors is not drawn."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["name"] == "layers")
    floors = [[name.removeprefix("edgefair.") for name in re.split(r"\s*\|\s*", layer)] for layer in layers]
    folders = [
        kept
        for floor in floors
        if (kept := [name for name in floor if (ROOT / "edgefair" / name).is_dir() and name not in SERVING])
    ]
    # The config is one file, and a floor of its own.
    folders.insert(folders.index(["report"]), ["config"])
    for above, below in itertools.pairwise(folders):
        yield from ((upper, lower) for upper in above for lower in below)


def test_the_drawing_of_the_floors_is_the_contract_of_the_linter():
    assert sorted(drawn()) == sorted(contracted())


def test_every_decision_is_listed_and_says_what_it_was_chosen_over_and_what_it_costs():
    listed = re.findall(r"\((\d{4}-[\w-]+\.md)\)", (ROOT / "docs/decisions/README.md").read_text())
    assert listed == DECISIONS
    for name in listed:
        text = (ROOT / "docs/decisions" / name).read_text()
        assert [part in text for part in ("**Decided.**", "**Instead of**", "**What it costs.**")] == [True] * 3


@pytest.mark.parametrize("form", sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml")), ids=lambda form: form.name)
def test_a_form_for_issues_is_one_that_the_service_reads(form):
    read = yaml.safe_load(form.read_text())
    if form.name == "config.yml":
        assert {*read} == {"blank_issues_enabled", "contact_links"}
        return
    assert {"name", "description", "body"} <= {*read}
    ids = [item["id"] for item in read["body"]]
    assert len(ids) == len({*ids})
    assert {item["type"] for item in read["body"]} <= {"textarea", "input", "dropdown", "checkboxes", "markdown"}


def test_the_citation_has_what_its_format_requires():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "title", "message", "authors"} <= {*cited}
    assert cited["license"] == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["license"]
