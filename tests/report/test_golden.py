"""Documents of every format, as they were looked at: `python -m tests.report.golden_results` writes them anew."""

import pytest

from edgefair.report.formats import FORMATS
from edgefair.report.formats.base import Item
from tests.report.golden_results import GOLDEN, documents, kept, results

DOCUMENTS = {path.name: (path, form, result) for path, form, result in documents()}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_is_the_one_that_was_looked_at(name):
    path, form, result = DOCUMENTS[name]
    assert kept(form, Item(result)) == path.read_text()


def test_every_format_is_kept_of_every_ending():
    found = {(form, name.partition(".")[0]) for name, (_, form, _) in DOCUMENTS.items()}
    endings = results()
    assert len(endings) == 10
    wanted = {
        (form, name) for name, result in endings.items() for form in FORMATS if FORMATS[form].can_hold(result.schema)
    }
    assert wanted <= found


def test_no_document_is_left_of_a_format_that_is_no_more():
    assert {path.name for path in GOLDEN.iterdir()} == DOCUMENTS.keys()
