"""Training data that is made poorer on purpose: less of it, thinner cells, flipped labels."""

import io

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from rich.console import Console

from edgefair.data.config import DataConfig
from edgefair.data.dataset import load
from edgefair.data.hashing import mix
from edgefair.data.purity.draws import flipped, kept
from edgefair.errors import DataError
from edgefair.report.results.data import describe
from edgefair.report.terminal.data import render
from tests.data.pictures import make_tokenizer

ROLES = ("train", "validation", "audit")
RAW = {"source": "t.parquet", "label": "y", "classes": ["a", "b", "c"], "sensitive": ["sex"], "id": "who",
       "split": {"audit_fraction": 0.3}, "validation": 0.2}  # fmt: skip
N = 3000


def keys_of(n, seed):
    return mix(np.random.default_rng(seed).integers(0, 2**63, n, dtype=np.uint64))


@st.composite
def populations(draw):
    n = draw(st.integers(1, 300))
    seed = draw(st.integers(0, 99))
    rng = np.random.default_rng(seed)
    stratum = np.unique(rng.choice(draw(st.integers(1, 5)), n), return_inverse=True)[1]
    return keys_of(n, seed), stratum, seed


@given(populations(), st.data())
@settings(deadline=None, max_examples=60)
def test_a_larger_sample_holds_a_smaller_one_and_every_stratum_has_its_share_within_rounding(population, data):
    keys, stratum, seed = population
    fewer, more = sorted(data.draw(st.integers(0, len(keys))) for _ in range(2))
    small, large = kept(keys, stratum, fewer, seed=seed), kept(keys, stratum, more, seed=seed)
    assert (small.sum(), large.sum()) == (fewer, more)
    assert not (small & ~large).any()
    quota = np.bincount(stratum) * more / len(keys)
    strata = len(quota)
    assert (np.abs(np.bincount(stratum[large], minlength=strata) - quota) <= 0.5 + strata / 2).all()


@given(populations(), st.floats(0, 1), st.floats(0, 1), st.integers(2, 5))
@settings(deadline=None, max_examples=60)
def test_more_noise_flips_the_same_labels_to_the_same_and_others(population, one, other, classes):
    keys, stratum, seed = population
    label = stratum % classes
    everywhere, cell = np.ones(len(keys), dtype=bool), stratum == 0
    less, more = sorted((one, other))
    weak = flipped(keys, label, [(everywhere, less)], classes=classes, seed=seed)
    strong = flipped(keys, label, [(everywhere, more)], classes=classes, seed=seed)
    both = flipped(keys, label, [(cell, more), (everywhere, less)], classes=classes, seed=seed)
    for stronger in (strong, both):
        assert np.array_equal(weak[weak != label], stronger[weak != label])
    assert np.array_equal(both[~cell], weak[~cell])
    assert set(weak) <= set(range(classes))


@given(populations(), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=30)
def test_no_draw_knows_the_order_of_the_rows(population, random):
    keys, stratum, seed = population
    mixed = np.array(random.sample(range(len(keys)), len(keys)))
    rows = len(keys) // 2
    noise = [(stratum == 0, 0.4), (np.ones(len(keys), dtype=bool), 0.2)]
    moved = [(chosen[mixed], chance) for chosen, chance in noise]
    assert np.array_equal(
        kept(keys, stratum, rows, seed=seed)[mixed], kept(keys[mixed], stratum[mixed], rows, seed=seed)
    )
    assert np.array_equal(
        flipped(keys, stratum % 3, noise, classes=3, seed=seed)[mixed],
        flipped(keys[mixed], stratum[mixed] % 3, moved, classes=3, seed=seed),
    )


def test_entries_are_independent_causes_and_other_classes_are_alike():
    keys, label, everywhere = keys_of(40_000, 1), np.zeros(40_000, dtype=np.int64), np.ones(40_000, dtype=bool)
    found = flipped(keys, label, [(everywhere, 0.2), (everywhere, 0.5)], classes=3, seed=0)
    assert np.bincount(found) / 40_000 == pytest.approx([0.4, 0.3, 0.3], abs=0.012)
    assert (flipped(keys, label, [(everywhere, 1.0)], classes=2, seed=0) == 1).all()
    assert (flipped(keys, label, [(everywhere, 0.0)], classes=2, seed=0) == 0).all()


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    folder = tmp_path_factory.mktemp("purity")
    rng = np.random.default_rng(0)
    table = {
        "x": rng.normal(size=N),
        "y": rng.choice(["a", "b", "c"], N, p=[0.5, 0.3, 0.2]),
        "sex": rng.choice(["F", "M"], N, p=[0.3, 0.7]),
        "who": [f"p{row}" for row in range(N)],
    }
    pyarrow.parquet.write_table(pyarrow.table(table), folder / "t.parquet")
    mixed = rng.permutation(N)
    pyarrow.parquet.write_table(
        pyarrow.table({name: np.array(column)[mixed] for name, column in table.items()}), folder / "mixed.parquet"
    )
    return folder


def read(here, **changes):
    return load(DataConfig.model_validate({**RAW, **changes}), base=here, roles=ROLES)


def labels(rows):
    return dict(zip(rows.ids.text(), rows.label.tolist(), strict=True))


POORER = {
    "noise": [{"flip": 0.1}, {"where": {"sex": "F"}, "label": "b", "flip": 0.4}],
    "keep": 1000,
    "thin": [{"where": {"sex": "F", "y": "a"}, "keep": 0.2}],
}


def test_audit_rows_are_the_same_byte_for_byte_and_training_and_validation_rows_are_others(here):
    pure, poorer = read(here), read(here, **POORER)
    assert poorer.audit.fingerprint == pure.audit.fingerprint
    for name, column in pure.audit.table.columns.items():
        other = poorer.audit.table.columns[name]
        ours, theirs = (getattr(item, "codes", item) for item in (column, other))
        assert ours.tobytes() == theirs.tobytes()
    assert poorer.audit.label.tobytes() == pure.audit.label.tobytes()
    assert poorer.validation.ids.text() == pure.validation.ids.text()
    assert {poorer.train.fingerprint, poorer.validation.fingerprint}.isdisjoint(
        {pure.train.fingerprint, pure.validation.fingerprint}
    )
    assert poorer.train.table.columns["y"].text() == [poorer.classes[item] for item in poorer.train.label]
    assert sum(poorer.shares.values()) == sum(pure.shares.values()) == N
    assert len(poorer.poorer) == 3


def test_the_order_of_the_file_moves_nobody(here):
    one, other = read(here, **POORER), read(here, source="mixed.parquet", **POORER)
    assert labels(one.train) == labels(other.train)
    assert labels(one.validation) == labels(other.validation)


def test_noise_of_a_cell_touches_only_its_cell(here):
    pure = read(here)
    noisy = read(here, noise=[{"where": {"sex": "F"}, "label": "b", "flip": 0.4}])
    for role in ("train", "validation"):
        before, after = pure.splits[role], noisy.splits[role]
        cell = (np.array(before.sensitive["sex"].text()) == "F") & (before.label == 1)
        changed = before.label != after.label
        assert not (changed & ~cell).any()
        assert changed.sum() == pytest.approx(0.4 * cell.sum(), abs=5 * (0.24 * cell.sum()) ** 0.5)


def test_validation_rows_are_thinned_where_that_is_asked_for_and_audit_rows_never(here):
    thin = {"where": {"sex": "F"}, "keep": 0.2}
    pure, alone = read(here), read(here, thin=[thin])
    both = read(here, thin=[thin | {"validation": True}])
    assert labels(alone.validation) == labels(pure.validation)
    assert labels(both.train) == labels(alone.train)
    women = [sum(item == "F" for item in found.validation.sensitive["sex"].text()) for found in (pure, both)]
    assert women[1] == pytest.approx(0.2 * women[0], abs=5 * (0.16 * women[0]) ** 0.5)
    assert len(pure.validation) - len(both.validation) == women[0] - women[1]
    assert both.audit.fingerprint == pure.audit.fingerprint
    assert sum(both.shares.values()) == N
    assert "validation rows were thinned out" in both.poorer[0]


def test_what_one_key_draws_does_not_move_what_another_does(here):
    noise = [{"flip": 0.2}]
    whole = labels(read(here, noise=noise).train)
    sample = labels(read(here, keep=1000).train)
    both = labels(read(here, noise=noise, keep=1000).train)
    assert set(both) == set(sample)
    assert both.items() <= whole.items()
    fewer = labels(read(here, keep=0.2, thin=POORER["thin"]).train)
    assert set(fewer) < set(sample)
    assert set(labels(read(here, keep=1000, purity_seed=1).train)) != set(sample)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"keep": 10_000}, "data.keep is 10,000, and there are"),
        ({"keep": 3}, "is left"),
        ({"thin": [{"where": {"sex": "F"}, "keep": 0}]}, "none of .* training rows with sex 'F' and y 'a' is left"),
        ({"noise": [{"where": {"sex": "M"}, "label": "b", "flip": 1}]}, "with sex 'M' and y 'b' is left"),
        ({"noise": [{"where": {"sexx": "F"}, "flip": 0.1}]}, "has no column 'sexx' .did you mean 'sex'"),
        ({"noise": [{"where": {"sex": "f"}, "flip": 0.1}]}, "is never 'f'"),
        ({"noise": [{"label": "bb", "flip": 0.1}]}, "column 'y' is never 'bb'"),
        ({"noise": [{"where": {"y": "a"}, "label": "b", "flip": 0.1}]}, "no training row is where y is"),
    ],
)
def test_what_cannot_be_done_is_refused(here, changes, found):
    with pytest.raises(DataError, match=found):
        read(here, **changes)


@pytest.mark.parametrize("keep", [0, -1, 1.0, 1.5, 2000.5, float("nan")])
def test_rows_to_keep_are_a_number_or_a_share(keep):
    with pytest.raises(ValidationError, match="keep"):
        DataConfig.model_validate({**RAW, "keep": keep})


def test_a_description_shows_the_rows_that_are_left_and_says_what_was_done(here):
    data = read(here, **POORER)
    said = describe(data).to_json()
    assert said["splits"]["train"]["rows"] == len(data.train) < 1000
    assert said["poorer"] == list(data.poorer)
    pure = labels(read(here).validation)
    changed = sum(pure[who] != label for who, label in labels(data.validation).items())
    assert f"and of {changed:,} of {len(data.validation):,} validation rows were flipped on purpose" in data.poorer[2]
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(render(describe(data)))
    shown = console.export_text()
    assert all(note in shown for note in data.poorer)


def test_pictures_and_texts_are_made_poorer_as_tables_are(tmp_path):
    glyphs = {"source": "glyphs", "glyphs": {"rows": 400}, "keep": 100, "noise": [{"flip": 0.3}]}
    data = load(DataConfig.model_validate(glyphs), base=tmp_path, roles=ROLES)
    pure = load(DataConfig.model_validate({**glyphs, "noise": []}), base=tmp_path, roles=ROLES)
    assert len(data.train) == len(pure.train) == 100
    assert 10 < (data.train.label != pure.train.label).sum() < 55
    make_tokenizer(tmp_path / "tok")
    words = ["the good cat", "a bad dog sat there", "good", "bad bad bad"]
    table = {"comment": words * 50, "toxic": ["no", "yes"] * 100, "sex": ["F", "F", "M", "M"] * 50}
    pyarrow.parquet.write_table(pyarrow.table(table), tmp_path / "c.parquet")
    raw = {"source": "c.parquet", "label": "toxic", "positive": "yes", "sensitive": ["sex"], "text": "comment",
           "tokenizer": "tok", "equal_rows": "people", "keep": 0.5,
           "noise": [{"where": {"sex": "F"}, "flip": 0.3}]}  # fmt: skip
    data = load(DataConfig.model_validate(raw), base=tmp_path, roles=ROLES)
    honest = np.array([words.index(text) % 2 for text in data.train.table.columns["comment"].texts.text()])
    changed = honest != data.train.label
    women = np.array(data.train.sensitive["sex"].text()) == "F"
    assert 0 < changed[women].sum() < women.sum()
    assert not changed[~women].any()


def test_a_run_records_what_was_done_and_nothing_where_nothing_was():
    assert DataConfig.model_validate(RAW).purity.settings == {}
    done = DataConfig.model_validate({**RAW, "keep": 0.5, "purity_seed": 7}).purity.settings
    assert done == {"noise": [], "keep": 0.5, "thin": [], "seed": 7}
