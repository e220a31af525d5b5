"""Samples of every cell, and no cell left out in silence."""

import numpy as np
import pytest
from PIL import Image

from edgefair.errors import UsageError
from edgefair.report.charts.contact_sheet import SheetCell, contact_sheet
from edgefair.report.charts.png import save_png


def cell(group, label, count, colours=()):
    pictures = tuple(np.full((10, 10, 3), colour, dtype=np.uint8) for colour in colours)
    return SheetCell(group, label, count, pictures)


def has(sheet, colour):
    return (np.asarray(sheet) == colour).all(axis=2).any()


def test_every_cell_shows_its_samples():
    red, green, blue = [(200, 0, 0)], [(0, 200, 0)], [(0, 0, 200)]
    cells = [cell("F", "yes", 1234, red), cell("F", "no", 1, green), cell("M", "yes", 2, blue)]
    sheet = contact_sheet(cells, title="t", side=16, columns=3)
    assert all(has(sheet, colour) for colour in ((200, 0, 0), (0, 200, 0), (0, 0, 200)))
    assert np.array_equal(np.asarray(sheet), np.asarray(contact_sheet(cells, title="t", side=16, columns=3)))


def test_an_empty_cell_says_so():
    with_rows = [cell("F", "yes", 3, [(9, 9, 200)]), cell("F", "no", 3, [(9, 9, 200)])]
    full, empty = contact_sheet(with_rows, title=""), contact_sheet([with_rows[0], cell("F", "no", 0)], title="")
    right = full.width // 2
    assert full.size == empty.size
    words = np.asarray(empty.crop((right, 30, empty.width, empty.height)))
    assert (words < 200).any()
    assert not has(empty.crop((right, 0, empty.width, empty.height)), (9, 9, 200))


def test_more_groups_than_fit_are_counted():
    cells = [cell(f"g{index}", "yes", 1, [(9, 9, 9)]) for index in range(45)]
    most = contact_sheet(cells[:40], title="x")
    more = contact_sheet(cells, title="x")
    assert most.size == more.size
    head = (0, 0, most.width, 22)
    assert not np.array_equal(np.asarray(most.crop(head)), np.asarray(more.crop(head)))


def test_long_and_foreign_names_and_grey_pictures_are_drawn(tmp_path):
    grey = SheetCell("日本語 " * 30, "ä" * 200, 5, (np.full((4, 4, 1), 90, dtype=np.uint8),))
    save_png(tmp_path / "s.png", contact_sheet([grey], title="é"), "contact sheet")
    assert has(Image.open(tmp_path / "s.png").convert("RGB"), (90, 90, 90))
    with pytest.raises(UsageError, match="contact sheet cannot be written"):
        save_png(tmp_path / "none" / "s.png", contact_sheet([grey], title=""), "contact sheet")
