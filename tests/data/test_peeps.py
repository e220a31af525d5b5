"""Drawn people: the rows that the knobs say, the same pictures always, each drawn once."""

import threading

import numpy as np
import pytest
from pydantic import ValidationError

import edgefair
from edgefair.data.config import DataConfig
from edgefair.data.dataset import load
from edgefair.data.identity.overlap import check_overlap
from edgefair.data.identity.seen import SeenRows
from edgefair.data.images import drawn_file, peep_drawing
from edgefair.data.images.drawn_file import DrawnFile
from edgefair.data.images.peeps import EXPRESSIONS, PLEASED, TONES, PeepsConfig, peep_rows
from edgefair.data.sources import open_source
from edgefair.errors import UsageError
from edgefair.probe.onnx_files.spec import InputSpec, ModelSpec, PictureSpec, Reading
from edgefair.workflow.project.init import write_config

SMALL = {"rows": 100, "audit_rows": 10, "size": 16}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "edgefair" / "pictures"


@pytest.fixture
def packages():
    for name in ("dicebear", "dicebear_styles", "resvg_py"):
        pytest.importorskip(name, reason="edgefair[peeps] draws the people, and it is not installed")


def column(**knobs):
    config = DataConfig.model_validate({"source": "peeps", "peeps": SMALL | knobs})
    return open_source(config, None).table.columns["picture"]


def pixels(pictures, rows, side=16):
    item = InputSpec("picture", "uint8", picture=PictureSpec("picture", side, side))
    return pictures.take(np.asarray(rows)).encoder(item)(0, len(rows))


def test_training_has_the_shares_of_tones_that_the_knobs_say_and_audits_are_balanced():
    config = PeepsConfig(rows=20_000, audit_rows=1000, shares={"dark": 0.1, "darkest": 0.1})
    rows = peep_rows(config)
    train = rows.split == 0
    found = np.bincount(rows.tone[train]) / train.sum()
    assert found == pytest.approx(np.array([1, 1, 1, 0.1, 0.1]) / 3.2, abs=0.01)
    assert set(np.bincount(rows.label[train]).tolist()) == {10_000}
    assert set(np.bincount((rows.tone * 2 + rows.label)[~train]).tolist()) == {100}
    pleased = {EXPRESSIONS[code] for code in rows.expression[rows.label == 1]}
    assert pleased == set(PLEASED)
    assert len(np.unique(rows.seed)) == len(rows.seed)


@pytest.mark.parametrize(
    ("knobs", "why"),
    [
        ({"shares": {"drak": 0.1}}, "unknown tone 'drak'"),
        ({"shares": {"dark": 0.0}}, "share of 'dark' is 0"),
        ({"shares": {"dark": 2}}, "share of 'dark' is 2"),
        ({"expressions": {"a": ["smile"], "b": ["smlie"]}}, "unknown expression 'smlie'"),
        ({"expressions": {"a": ["smile"], "b": ["smile"]}}, "'smile' is listed twice"),
        ({"expressions": {"a": ["smile"], "b": []}}, "label 'b' has no expression"),
        ({"expressions": {"a": ["smile"]}}, "at least 2"),
        ({"audit_rows": 10, "expressions": {"a": "smile", "b": "rage", "c": "fear"}}, "10 audit rows for 15 cells"),
    ],
)
def test_knobs_that_cannot_be_are_refused(knobs, why):
    with pytest.raises(ValidationError, match=why):
        PeepsConfig(**knobs)


@pytest.mark.usefixtures("packages")
def test_the_set_is_read_like_any_other_and_drawn_at_the_size_of_the_model():
    config = DataConfig.model_validate({"source": "peeps", "peeps": SMALL})
    data = load(config, base=None, roles=("train", "validation", "audit"))
    assert (data.classes, config.sensitive) == (("upset", "pleased"), ("tone",))
    assert (len(data.train) + len(data.validation), len(data.audit)) == (100, 10)
    assert check_overlap(SeenRows.of([data.train, data.validation], data.features), data.audit).shared == 0
    for side in (16, 24):
        item = InputSpec("picture", "uint8", picture=PictureSpec("picture", side, side))
        spec = ModelSpec((item,), Reading("decision", "label"), data.classes)
        whole = np.concatenate([batch["picture"] for batch in data.audit.inputs(spec, 3)])
        assert whole.shape == (10, side, side, 3)
        assert len({picture.tobytes() for picture in whole}) == 10


@pytest.mark.usefixtures("packages")
def test_a_picture_is_the_same_whatever_it_is_drawn_with_and_is_drawn_once(monkeypatch):
    first = pixels(column(), [5, 1, 5])
    assert (first[0] == first[2]).all()
    assert (first[0] != first[1]).any()
    monkeypatch.setattr(peep_drawing, "draw", None)
    assert (pixels(column(), [1])[0] == first[1]).all()
    bright, dim = pixels(column(noise=0), [1]), pixels(column(noise=0, contrast=0.5), [1])
    assert np.ptp(dim.astype(int)) == pytest.approx(np.ptp(bright.astype(int)) / 2, abs=1)
    with pytest.raises(TypeError):
        pixels(column(seed=1), [1])


@pytest.mark.usefixtures("packages")
def test_lines_have_less_contrast_on_darker_skin():
    contrast = []
    for tone in range(len(TONES)):
        picture = peep_drawing.draw(EXPRESSIONS.index("smile"), tone, 7, 64)
        assert (picture == peep_drawing.draw(EXPRESSIONS.index("smile"), tone, 7, 64)).all()
        contrast.append(int(picture[30:36, 30:36].max(axis=2).max()) - int(picture.min()))
    assert contrast == sorted(contrast, reverse=True)
    assert contrast[-1] < contrast[0] / 2


def test_without_the_packages_the_error_names_the_extra(monkeypatch):
    monkeypatch.setattr(peep_drawing, "PACKAGES", ("a-package-that-nobody-has",))
    with pytest.raises(UsageError, match=r"pip install .*\[peeps\]"):
        column()


def test_a_record_that_was_written_half_or_never_is_not_read(cache):
    kept, other = DrawnFile("x", 8), DrawnFile("x", 8)
    kept.write(3, b"12345678")
    assert other.read(3) == b"12345678"
    assert [kept.read(number) for number in (0, 2, 4)] == [None] * 3
    with (cache / "x").open("r+b") as stream:
        stream.seek(-1, 2)
        stream.write(b"9")
    assert kept.read(3) is None


def test_where_nothing_can_be_kept_pictures_are_drawn_all_the_same(tmp_path, monkeypatch):
    (tmp_path / "edgefair").write_text("a file where the folder should be")
    kept = DrawnFile("x", 8)
    kept.write(0, b"12345678")
    assert kept.read(0) == b"12345678"

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(drawn_file.os, "pwrite", full)
    kept.write(1, b"12345678")
    assert kept.read(1) is None


@pytest.mark.usefixtures("packages")
def test_threads_that_draw_the_same_pictures_get_the_same():
    pictures = column()
    found = {}
    threads = [
        threading.Thread(target=lambda name=name: found.update({name: pixels(pictures, [0, 1, 2, 3])})) for name in "ab"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (found["a"] == found["b"]).all()


@pytest.mark.long
@pytest.mark.usefixtures("packages")
def test_init_writes_a_project_that_trains_and_is_judged(tmp_path):
    write_config(tmp_path / "edgefair.yaml", source="peeps", given={"peeps": SMALL})
    changes = {
        "model.network": "fer-cnn",
        "model.options": {"width": 0.125},
        "train": {"epochs": 1, "batch_rows": 50},
    }
    config = edgefair.load_config(tmp_path / "edgefair.yaml", changes)
    assert (config.data.positive, config.model.picture.height) == ("pleased", 16)
    assert set(config.policy.attributes["tone"].groups) == set(TONES)
    edgefair.train(config, name="run")
    report = edgefair.export(config, run="run", latency=False)
    assert report.outcome in {"FAIL", "INCONCLUSIVE"}
    assert report.audit.rows == 10
