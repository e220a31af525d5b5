"""Documents of every format, as they were looked at: `python -m tests.report.golden_results` writes them anew."""

import pytest

from edgefair.report.formats.base import Item
from tests.report.golden_results import GOLDEN, document, documents

DOCUMENTS = {path.name: (path, form, result) for path, form, result in documents()}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_is_the_one_that_was_looked_at(name):
    path, form, result = DOCUMENTS[name]
    assert document(form, Item(result)) == path.read_text()


def test_no_document_is_left_of_a_format_that_is_no_more():
    assert {path.name for path in GOLDEN.iterdir()} == DOCUMENTS.keys()
