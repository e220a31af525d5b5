"""Rows in a page: whoever asks for them sees them, as text and as pictures inside the file, and nobody else does."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from edgefair.errors import UsageError
from edgefair.report.changed_rows import ChangedCell, ChangedRow, ChangedRows
from edgefair.report.escape import one_line
from edgefair.report.formats import FORMATS, open_format
from edgefair.report.formats.base import Item
from edgefair.report.output import Output, check_shows_rows, write_items
from edgefair.report.page.sentences import PEOPLE
from tests.attacks.test_hostile_names_in_formats import NAMES
from tests.report.golden_results import document, results

RESULTS = results()
JPEG = b"\xff\xd8\xff a picture"


def changed(*rows, group="Female", label="yes", left=0):
    cell = ChangedCell(group, label, {"broken": len(rows)}, rows)
    return ChangedRows("audit rows", {"local": (cell,)}, {"local": left})


def row(name="row 7", *, before="yes", after="no", scores=(0.6, 0.4), picture=None, text=None, **values):
    return ChangedRow(name, "broken", before, after, *scores, picture, text, values)


class Elements(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, page):
        super().__init__()
        self.found, self.text = [], ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data

    def of(self, tag):
        return [attributes for found, attributes in self.found if found == tag]

    @property
    def policy(self):
        return next(meta["content"] for meta in self.of("meta") if "http-equiv" in meta)


def test_only_a_page_with_rows_lets_pictures_in_and_says_that_it_holds_peoples_data():
    item = Item(RESULTS["fail"])
    without = Elements(document("html", item))
    page = Elements(document("html", replace(item, changed=changed(row(picture=JPEG)))))
    assert "img-src" not in without.policy
    assert PEOPLE not in without.text
    assert page.policy == re.sub("'sha256-.*'", page.policy.split()[3].rstrip(";"), without.policy) + "; img-src data:"
    assert PEOPLE in page.text
    (picture,) = page.of("img")
    assert picture["src"] == "data:image/jpeg;base64,/9j/IGEgcGljdHVyZQ=="
    assert picture["alt"] == "picture of row 7"
    assert not without.of("img")


def test_features_are_a_table_with_the_scores_before_and_after():
    shown = changed(row(age="43", work="Private"), row("row 9", scores=(None, 0.25), age="17", work="missing"), left=3)
    page = document("html", Item(RESULTS["fail"], changed=shown))
    head = re.search(r"<caption>Female, label yes: 2 broken; shown: 2</caption>\s*<thead>(.*)</thead>", page)[1]
    assert re.findall(r">([^<>]+)</th>", head) == [
        "row", "change", "before", "after", "score before", "score after", "age", "work",
    ]  # fmt: skip
    assert re.search(r">row 9</th>.*broken.*>yes</td>.*>no</td>.*>\?</td>.*>0.2500</td>.*>17</td>.*>missing</td>", page)
    assert "3 more cells have changed rows" in page


@pytest.mark.parametrize("name", NAMES)
def test_hostile_rows_are_text(name):
    said = NAMES[name]
    hostile = row(said, before=said, after=said, text=said, **{said: said})
    tame = row("a", before="a", after="a", text="a", a="a")
    page, calm = (
        Elements(document("html", Item(RESULTS["fail"], changed=changed(one, group=text, label=text))))
        for one, text in ((hostile, said), (tame, "a"))
    )
    assert [tag for tag, _ in page.found] == [tag for tag, _ in calm.found]
    assert page.text.count(one_line(said)) >= 7
    assert all(line.isprintable() for line in page.text.split("\n"))
    table = Elements(document("html", Item(RESULTS["fail"], changed=changed(replace(hostile, text=None)))))
    assert not {"script", "img", "a", "form", "iframe"} & {tag for tag, _ in table.found}


def test_no_other_format_holds_rows():
    item = Item(RESULTS["fail"], changed=changed(row("somebody", text="what she wrote", picture=JPEG)))
    for name, known in FORMATS.items():
        if not known.shows_rows:
            assert document(name, item) == document(name, replace(item, changed=None)), name
    assert "what she wrote" in document("html", item)


def test_a_file_with_rows_is_for_its_owner_alone_whatever_was_there_before(tmp_path):
    path = tmp_path / "page.html"
    path.write_text("a page that everybody may read")
    path.chmod(0o644)
    write_items([Item(RESULTS["fail"])], [Output("html", path)])
    assert path.stat().st_mode & 0o777 == 0o644
    write_items([Item(RESULTS["fail"], changed=changed(row()))], [Output("html", path)])
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("outputs", [(), (Output("html"),), (Output("json", "a.json"), Output("terminal"))])
def test_rows_need_a_file_that_shows_them(outputs):
    with pytest.raises(UsageError, match="no file that shows rows"):
        check_shows_rows(outputs)
    assert callable(open_format("html").write)
