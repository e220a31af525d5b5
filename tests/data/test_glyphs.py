"""The generator draws what its knobs say, the same in every batch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from edgefair.data.config import DataConfig
from edgefair.data.dataset import load
from edgefair.data.identity.overlap import check_overlap
from edgefair.data.identity.seen import SeenRows
from edgefair.data.images.glyphs import SHAPES, GlyphConfig, draw, glyph_rows
from edgefair.probe.onnx_files.spec import InputSpec, ModelSpec, PictureSpec, Reading


def pictures(config, rows, chosen):
    return draw(config, rows.shape[chosen], rows.group[chosen], rows.seed[chosen])


def test_training_has_the_shares_and_rates_that_the_knobs_say():
    config = GlyphConfig(rows=40_000, share=0.2, base_rates=(0.7, 0.1), label_noise=0.1)
    rows = glyph_rows(config)
    train = rows.split == 0
    assert train.sum() == 40_000
    assert rows.group[train].mean() == pytest.approx(0.2, abs=0.01)
    for group, rate in enumerate((0.7, 0.1)):
        assert rows.shape[train & (rows.group == group)].mean() == pytest.approx(rate, abs=0.02)
    assert (rows.label != rows.shape)[train].mean() == pytest.approx(0.1, abs=0.01)
    assert (rows.label == rows.shape)[~train].all()


@settings(max_examples=20, deadline=None)
@given(st.integers(2, len(SHAPES)), st.integers(2, 4), st.integers(40, 400))
def test_audit_rows_are_the_same_number_in_every_cell(classes, groups, audit_rows):
    config = GlyphConfig(rows=100, classes=classes, groups=tuple("abcd"[:groups]), audit_rows=audit_rows)
    rows = glyph_rows(config)
    audit = rows.split == 1
    counts = np.bincount((rows.group * classes + rows.shape)[audit], minlength=classes * groups)
    assert set(counts.tolist()) == {audit_rows // (classes * groups)}


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.lists(st.integers(0, 295), min_size=1, max_size=12))
def test_a_picture_does_not_depend_on_the_rows_it_is_drawn_with(seed, chosen):
    config = GlyphConfig(rows=200, audit_rows=100, classes=4, seed=seed, size=16)
    rows = glyph_rows(config)
    together = pictures(config, rows, np.array(chosen))
    for position, row in enumerate(chosen):
        assert np.array_equal(together[position], pictures(config, rows, np.array([row]))[0])


def test_no_two_pictures_are_equal_and_every_shape_is_another():
    config = GlyphConfig(rows=300, audit_rows=300, classes=10, size=20)
    rows = glyph_rows(config)
    drawn = pictures(config, rows, np.arange(600))
    assert len({picture.tobytes() for picture in drawn}) == 600
    assert drawn.shape == (600, 20, 20, 3)
    clean = GlyphConfig(classes=10, noise=0, texture=0)
    same = np.full(10, rows.seed[0])
    shapes = draw(clean, np.arange(10), np.zeros(10, dtype=int), same).astype(int)
    for one in range(10):
        for other in range(one):
            assert np.abs(shapes[one] - shapes[other]).max() > 60


def test_the_minority_is_drawn_with_less_contrast_and_thinner_strokes():
    config = GlyphConfig(noise=0, texture=0, contrast=0.4, stroke=0.5)
    seed = glyph_rows(config).seed[:50]
    bright, faint = (draw(config, np.zeros(50, int), np.full(50, g), seed).astype(float) for g in (0, 1))
    assert faint.max() < 0.75 * bright.max()
    background = bright.min()
    assert (faint > background + 5).sum() < 0.8 * (bright > background + 5).sum()


def test_equal_seeds_give_equal_rows_and_others_do_not():
    one, same, other = (glyph_rows(GlyphConfig(seed=seed)) for seed in (1, 1, 2))
    assert np.array_equal(one.seed, same.seed)
    assert not np.intersect1d(one.seed, other.seed).size


@pytest.mark.parametrize(
    ("knobs", "why"),
    [
        ({"classes": 3, "base_rates": (0.5, 0.5)}, "for two classes"),
        ({"base_rates": (0.5, 0.5, 0.5)}, "3 rates for 2 groups"),
        ({"base_rates": (0.0, 0.5)}, "between 0 and 1"),
        ({"groups": ("a", "a")}, "listed twice"),
        ({"groups": ("a", "b"), "classes": 10, "audit_rows": 10}, "10 audit rows for 20 cells"),
        ({"classes": 11}, "less than or equal to 10"),
        ({"share": 1}, "less than 1"),
    ],
)
def test_knobs_that_cannot_be_are_refused(knobs, why):
    with pytest.raises(ValidationError, match=why):
        GlyphConfig(**knobs)


def test_the_set_is_read_like_any_other_and_drawn_at_the_size_of_the_model():
    config = DataConfig.model_validate({"source": "glyphs", "glyphs": {"rows": 400, "audit_rows": 40, "size": 20}})
    data = load(config, base=None, roles=("train", "validation", "audit"))
    assert data.classes == SHAPES[:2]
    assert (len(data.train) + len(data.validation), len(data.audit)) == (400, 40)
    assert check_overlap(SeenRows.of([data.train, data.validation], data.features), data.audit).shared == 0
    for side in (20, 32):
        item = InputSpec("picture", "uint8", picture=PictureSpec("picture", side, side, channels=1))
        spec = ModelSpec((item,), Reading("decision", "label"), data.classes)
        whole = np.concatenate([batch["picture"] for batch in data.audit.inputs(spec, 7)])
        assert whole.shape == (40, side, side, 1)
        assert len({picture.tobytes() for picture in whole}) == 40
