"""Numbers as colours: what is worse is red, what is better is blue, what was not measured is neither."""

import numpy as np
import pytest
from PIL import Image

from edgefair.errors import UsageError
from edgefair.report.charts.drawing import PAINTS
from edgefair.report.charts.heat_map import BETTER, WHITE, WORSE, Panel, shade
from edgefair.report.charts.heat_map import heat_map as drawn
from edgefair.report.charts.pixels import picture
from edgefair.report.charts.png import save_png

NOTHING = tuple(bytes.fromhex(PAINTS["nothing"][1:]))


def heat_map(*arguments):
    return picture(drawn(*arguments))


def has(image, colour):
    return (np.asarray(image) == colour).all(axis=2).any()


def test_zero_is_white_and_the_largest_magnitude_has_the_full_colour():
    assert shade(0.0, 2.0) == WHITE == shade(0.0, 0.0)
    assert shade(2.0, 2.0) == shade(5.0, 2.0) == WORSE
    assert shade(-2.0, 2.0) == BETTER
    assert shade(1.0, 2.0) == tuple(round((a + b) / 2) for a, b in zip(WHITE, WORSE, strict=True))


def test_every_panel_has_its_own_scale_and_absent_numbers_their_own_colour():
    small, large = Panel("a", [[0.001, None]], "+.3f"), Panel("b", [[-50.0, 0.0]], "+.1f")
    both = heat_map("t", ["layer"], ["x", "y"], [small, large])
    assert has(both, WORSE)
    assert has(both, BETTER)
    assert has(both, NOTHING)
    assert not has(heat_map("t", ["layer"], ["x", "y"], [large]), NOTHING)
    assert np.array_equal(np.asarray(both), np.asarray(heat_map("t", ["layer"], ["x", "y"], [small, large])))


def test_more_rows_and_columns_than_fit_are_counted():
    def made(rows, columns):
        panel = Panel("p", [[1.0] * columns] * rows, "+.1f")
        return heat_map("t", [f"r{i:03}" for i in range(rows)], [f"c{i:02}" for i in range(columns)], [panel])

    most, more = made(120, 60), made(130, 70)
    assert most.size == more.size
    head = (0, 0, most.width, 28)
    assert not np.array_equal(np.asarray(most.crop(head)), np.asarray(more.crop(head)))


def test_long_names_keep_their_ends_and_a_folder_that_is_missing_is_said(tmp_path):
    names = ["network." * 40 + end for end in ("first", "second")]
    image = heat_map("t", names, ["ä" * 200], [Panel("p", [[1.0], [-1.0]], "+.1f")])
    labels = np.asarray(image)[-50:-10, :300]
    assert not np.array_equal(labels[:20], labels[20:])
    save_png(tmp_path / "h.png", image, "heat map")
    assert Image.open(tmp_path / "h.png").size == image.size
    with pytest.raises(UsageError, match="heat map cannot be written"):
        save_png(tmp_path / "none" / "h.png", image, "heat map")
