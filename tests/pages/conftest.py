"""What the first tutorial leaves, in which many pages go on."""

import pytest

from tests.pages.shell import DOCS, carry_out

FIRST = "tutorials/table.md"


@pytest.fixture(scope="session")
def first(tmp_path_factory):
    """The folder of the first tutorial, carried out; not to be written to."""
    folder = tmp_path_factory.mktemp("first") / "people"
    folder.mkdir()
    carry_out(DOCS / FIRST, folder, tmp_path_factory.mktemp("tools"))
    return folder
