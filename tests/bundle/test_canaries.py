"""A device that answers a bundle's canary rows otherwise than the judged one did does not serve its model."""

import io
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgefair.bundle.canaries import selection
from edgefair.bundle.canaries.asking import Questions
from edgefair.bundle.canaries.faults import FAULTS, faulty
from edgefair.bundle.canaries.probing import check_target
from edgefair.bundle.canaries.rows import ROWS, synthetic_rows
from edgefair.bundle.canaries.selection import MOST, choose
from edgefair.errors import MeasurementError, ModelError
from edgefair.probe.bundles import runtime
from edgefair.probe.bundles.canaries import CANARIES, Answers, Canaries, answered, read_canaries
from edgefair.probe.bundles.runtime import BundleError, load
from edgefair.probe.device import fingerprint
from edgefair.probe.onnx_files.spec import (
    SPEC_METADATA_KEY,
    Column,
    InputSpec,
    ModelSpec,
    PictureSpec,
    Reading,
    TokenSpec,
)  # fmt: skip
from edgefair.probe.runtimes.models import open_model
from edgefair.targets.connection import LostError
from edgefair.workflow import targets
from edgefair.workflow.targets import probe_target
from tests.bundle.small_bundle import RAW, judged, report_of, write_bundle, write_manifest
from tests.targets.onnx_models import SPEC, classifier, save, value
from tests.targets.pools import pool_of

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
OF_PICTURES = ModelSpec(
    inputs=(InputSpec("x", "float32", picture=PictureSpec("face", 8, 8, layout="nchw", mean=MEAN, std=STD)),),
    reading=Reading("decision", "label", score="score"),
    classes=("no", "yes"),
)
SESSION = {"providers": ["CPUExecutionProvider"], "optimization": "all", "config": {}, "threads": 1}


def picture_model(path, spec=OF_PICTURES):
    """The mean of every channel, weighed: red speaks against, blue for the second class."""
    weights = np.array([[1.5, -1.5], [0.25, -0.25], [-1.5, 1.5]], np.float32)
    return save(
        path,
        [
            helper.make_node("ReduceMean", ["x", "axes"], ["m"], keepdims=0),
            helper.make_node("MatMul", ["m", "w"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["score"], axis=1),
            helper.make_node("ArgMax", ["score"], ["decision"], axis=1, keepdims=0),
        ],
        [value("x", TensorProto.FLOAT, ["n", 3, 8, 8])],
        [value("decision", TensorProto.INT64, ["n"]), value("score", TensorProto.FLOAT, ["n", 2])],
        [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(np.array([2, 3]), "axes")],
        {SPEC_METADATA_KEY: spec.to_json()},
    )


def with_canaries(folder, spec, targets=1):
    """Let the bundle's model answer its canary rows here, as every judged device did."""
    content = (folder / "model.onnx").read_bytes()
    chosen = choose(content, spec)
    assert not chosen.notes
    answers = answered(open_model(content, SESSION), chosen.inputs, spec)
    (folder / CANARIES).write_bytes(Canaries(chosen.inputs, [answers] * targets).to_bytes())
    write_manifest(folder)
    return folder


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    return with_canaries(write_bundle(tmp_path_factory.mktemp("tables") / "b"), SPEC)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = write_bundle(tmp_path_factory.mktemp("pictures") / "b", reference=False)
    picture_model(folder / "model.onnx")
    (folder / "spec.json").write_text(OF_PICTURES.to_json())
    (folder / "report.json").write_text(json.dumps(report_of(folder / "model.onnx")))
    return with_canaries(folder, OF_PICTURES)


def pixels(x):
    mean, std = (np.array(item, np.float32)[:, None, None] for item in (MEAN, STD))
    return (x * std + mean) * 255, lambda p: ((p / 255 - mean) / std).astype(np.float32)


def on_pixels(change):
    def broken(x):
        p, back = pixels(x)
        return back(change(p))

    return broken


SAME = {"inputs": lambda x: x, "outputs": lambda y: y}
BROKEN_PICTURES = {
    "saturation": {"inputs": on_pixels(lambda p: np.minimum(p, 127))},
    "wrong cast": {"inputs": on_pixels(lambda p: np.minimum(p, 1))},
    "flipped channels": {"inputs": lambda x: np.ascontiguousarray(x[:, ::-1])},
    "missing normalisation": {"inputs": lambda x: pixels(x)[0].astype(np.float32)},
    "NaN": {"outputs": lambda y: y * np.float32("nan") if y.dtype.kind == "f" else y},
}
BROKEN_TABLES = {
    "saturation": {"inputs": lambda x: np.clip(x, -0.5, 0.5)},
    "wrong cast": {"inputs": lambda x: np.clip(np.trunc(x), 0, 1)},
    "flipped channels": {"inputs": lambda x: np.ascontiguousarray(x[:, ::-1])},
    "missing normalisation": {"inputs": lambda x: x * np.float32(255)},
    "NaN": BROKEN_PICTURES["NaN"],
}


class BrokenSession:
    """onnxruntime's session on a device that is broken in one way."""

    def __init__(self, session, inputs, outputs):
        self.session, self.inputs, self.outputs = session, inputs, outputs

    def run(self, names, arrays):
        right = self.session.run(names, {name: self.inputs(array) for name, array in arrays.items()})
        return [self.outputs(array) for array in right]


def break_device(monkeypatch, ways):
    def opened(content, options):
        loaded = open_model(content, options)
        loaded.session = BrokenSession(loaded.session, **{**SAME, **ways})
        return loaded

    monkeypatch.setattr(runtime, "open_model", opened)


@pytest.mark.parametrize("fault", BROKEN_PICTURES)
def test_a_broken_device_does_not_load_a_model_of_pictures(pictures, monkeypatch, fault):
    assert load(pictures).classes == ("no", "yes")
    break_device(monkeypatch, BROKEN_PICTURES[fault])
    with pytest.raises(BundleError, match=r"must not run here: this device answers .* canary rows otherwise"):
        load(pictures)


@pytest.mark.parametrize("fault", BROKEN_TABLES)
def test_a_broken_device_does_not_load_a_model_of_tables(tables, monkeypatch, fault):
    assert load(tables).predict(RAW).decision == ["no", "yes"]
    break_device(monkeypatch, BROKEN_TABLES[fault])
    with pytest.raises(BundleError, match=r"must not run here: this device answers .* canary rows otherwise"):
        load(tables)


def test_each_fault_moves_some_canary_row_clearly_and_no_row_moves_without_one(pictures):
    content = (pictures / "model.onnx").read_bytes()
    rows = choose(content, OF_PICTURES)
    assert 0 < len(rows) <= MOST
    loaded = open_model(content, SESSION)
    right = answered(loaded, rows.inputs, OF_PICTURES)
    for fault in FAULTS:
        outputs = loaded.run(faulty(fault, rows.inputs, OF_PICTURES), ["decision", "score"], one_by_one=True)
        assert np.abs(outputs["score"] - right.score).max() > selection.CLEAR


def test_a_fault_that_changes_no_answer_is_said_and_a_model_that_decides_nothing_clearly_has_no_rows(tmp_path):
    alike = classifier(tmp_path / "alike.onnx", weights=((1.0, -1.0), (1.0, -1.0))).read_bytes()
    assert choose(alike, SPEC).notes == (selection.UNSHOWN.format("flipped channels"),)
    even = choose(classifier(tmp_path / "even.onnx", weights=((0.0, 0.0), (0.0, 0.0))).read_bytes(), SPEC)
    assert (len(even), even.notes) == (0, (selection.NO_ROWS.format("the model decides no synthetic row clearly"),))
    assert Questions(b"no model", SPEC).to_bytes(["local"]) is None


def test_a_model_that_refuses_synthetic_rows_has_none_and_the_note_says_why(tmp_path):
    """Indices of a table whose size the spec does not know."""
    indexed = save(
        tmp_path / "indexed.onnx",
        [
            helper.make_node("Gather", ["table", "x"], ["each"]),
            helper.make_node("ReduceMean", ["each", "axes"], ["score"], keepdims=0),
            helper.make_node("ArgMax", ["score"], ["decision"], axis=1, keepdims=0),
        ],
        [value("x", TensorProto.INT64, ["n", 2])],
        [value("decision", TensorProto.INT64, ["n"]), value("score", TensorProto.FLOAT, ["n", 2])],
        [
            numpy_helper.from_array(np.full((5, 2), 0.5, np.float32), "table"),
            numpy_helper.from_array(np.array([1]), "axes"),
        ],
    )
    spec = replace(SPEC, inputs=(InputSpec("x", "int64", (Column("a"), Column("b"))),))
    chosen = choose(indexed.read_bytes(), spec)
    assert len(chosen) == 0
    assert "the model refuses synthetic rows" in chosen.notes[0]


def test_rows_are_made_of_the_spec_alone_and_are_the_same_every_time():
    spec = ModelSpec(
        inputs=(
            InputSpec("numbers", "float32", (Column("age"), Column("gap", missing="mean", fill=1.0))),
            InputSpec("codes", "int32", (Column("job", ("cook", "pilot")),)),
            InputSpec("texts", "str", (Column("town", ("A", "B"), missing="category"),)),
            InputSpec("grey", "uint8", picture=PictureSpec("scan", 5, 7, channels=1)),
            InputSpec("ids", "int64", tokens=TokenSpec("text", "ids", 6, "0" * 64, 100, 0)),
            InputSpec("mask", "int64", tokens=TokenSpec("text", "mask", 6, "0" * 64, 100, 0)),
            InputSpec("signal", "float32", array="ecg"),
        ),
        reading=Reading("y", "logits"),
        classes=("no", "yes"),
    )
    one, other = (synthetic_rows(spec, {"signal": [None, 2, 9]}) for _ in range(2))
    assert {name: (array.shape, str(array.dtype)) for name, array in one.items()} == {
        "numbers": ((ROWS, 2), "float32"), "codes": ((ROWS, 1), "int32"), "texts": ((ROWS, 1), "int32"),
        "grey": ((ROWS, 5, 7, 1), "uint8"), "ids": ((ROWS, 6), "int64"), "mask": ((ROWS, 6), "int64"),
        "signal": ((ROWS, 2, 9), "float32"),
    }  # fmt: skip
    assert all(np.array_equal(one[name], other[name], equal_nan=one[name].dtype.kind == "f") for name in one)
    assert ((one["ids"] != 0) <= (one["mask"] == 1)).all()
    assert set(np.unique(one["texts"])) == {-1, 0, 1, 2}
    assert synthetic_rows(spec, {"signal": [None, None, 9]}) is None


def test_a_device_is_held_to_the_answers_of_the_device_whose_settings_it_takes(tmp_path):
    other = judged({**fingerprint(), "machine": "riscv64"})
    for devices, loads in (([other, judged()], True), ([judged(), other], False)):
        folder = with_canaries(write_bundle(tmp_path / f"{loads}", devices=devices), SPEC, targets=2)
        canaries = read_canaries((folder / CANARIES).read_bytes(), SPEC, 2)
        right = canaries.answers[0]
        wrong = Answers(1 - right.decision, right.score[:, ::-1].copy())
        (folder / CANARIES).write_bytes(Canaries(canaries.inputs, [wrong, right]).to_bytes())
        write_manifest(folder)
        if loads:
            load(folder)
        else:
            with pytest.raises(BundleError, match="canary rows otherwise"):
                load(folder)


def damaged(change):
    def made(content):
        with np.load(io.BytesIO(content)) as arrays:
            found = dict(arrays)
        change(found)
        buffer = io.BytesIO()
        np.savez(buffer, **found)
        return buffer.getvalue()

    return made


def compressed(content):
    buffer = io.BytesIO()
    with np.load(io.BytesIO(content)) as arrays:
        np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


DAMAGED = {
    "no archive": lambda _: b"PK and no more",
    "compressed": compressed,
    "another schema": damaged(lambda a: a.update(schema=np.array("edgefair.canaries/9"))),
    "of two targets": damaged(lambda a: a.update(targets=np.array(2))),
    "no input": damaged(lambda a: a.pop("input/x")),
    "pickled": damaged(lambda a: a.update({"input/x": np.array([{}], dtype=object)})),
    "a row less": damaged(lambda a: a.update({"input/x": a["input/x"][1:]})),
    "no rows": damaged(lambda a: a.update({"input/x": a["input/x"][:0], "0/decision": a["0/decision"][:0]})),
    "a third class": damaged(lambda a: a.update({"0/decision": a["0/decision"] + 2})),
    "scores of other rows": damaged(lambda a: a.update({"0/score": a["0/score"][1:]})),
    "a column less": damaged(lambda a: a.update({"input/x": a["input/x"][:, :1].copy()})),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_bundle_with_damaged_canary_rows_does_not_load(tables, tmp_path, name):
    folder = tmp_path / "b"
    shutil.copytree(tables, folder)
    (folder / CANARIES).write_bytes(DAMAGED[name]((folder / CANARIES).read_bytes()))
    with pytest.raises(BundleError, match="modified"):
        load(folder)
    write_manifest(folder)
    with pytest.raises(BundleError, match=CANARIES if name != "a column less" else "cannot be loaded"):
        load(folder)


def test_a_target_is_probed_with_the_canary_rows_of_a_bundle(tables, tmp_path):
    assert probe_target("local", bundle=tables).fingerprint["machine"] == fingerprint()["machine"]
    wrong = with_canaries(write_bundle(tmp_path / "wrong"), SPEC)
    known = read_canaries((wrong / CANARIES).read_bytes(), SPEC, 1)
    answers = Answers(known.answers[0].decision[::-1].copy(), None)
    (wrong / CANARIES).write_bytes(Canaries(known.inputs, [answers]).to_bytes())
    write_manifest(wrong)
    with pytest.raises(MeasurementError, match=r"'local': this device answers .* canary rows otherwise"):
        probe_target("local", bundle=wrong)
    with pytest.raises(ModelError, match="no canary rows"):
        probe_target("local", bundle=write_bundle(tmp_path / "older"))


def test_every_device_of_a_pool_is_asked_the_canary_rows_and_one_that_is_lost_is_an_error(
    tables, tmp_path, monkeypatch
):
    asked, killed = [], []

    def check(probe, bundle):
        asked.append(probe.profile.name)
        if probe.profile.name in killed:
            raise LostError("target 'b': killed")
        return check_target(probe, bundle)

    monkeypatch.setattr(targets, "check_target", check)
    pool = pool_of(tmp_path, "a", "b", rest="")
    probe_target(pool, bundle=tables)
    assert sorted(asked) == ["a", "b"]
    killed.append("b")
    with pytest.raises(MeasurementError, match="'b': killed"):
        probe_target(pool, bundle=tables)


class SilentProbe:
    """A target that answered the audit rows, and is lost when it is asked the canary rows."""

    class profile:  # noqa: N801
        name = "board"

    def run(self, *_arguments, **_options):
        raise MeasurementError("output 'score' is NaN in batch 0")


def test_a_target_that_does_not_answer_them_leaves_the_bundle_without_canary_rows_and_a_note_says_why(tables):
    asked = Questions((tables / "model.onnx").read_bytes(), SPEC)
    (note,) = asked.ask(SilentProbe(), None)
    assert "target 'board' did not answer them (output 'score' is NaN" in note
    assert asked.to_bytes(["board"]) is None


def test_a_file_that_answers_slowly_is_asked_fewer_rows_of_every_kind(pictures, monkeypatch):
    """As many as travel at least; with time enough, all of them."""
    content = (pictures / "model.onnx").read_bytes()
    asked, answers = [], selection._answers

    def counted(loaded, ready, spec):
        asked.append(len(ready["x"]))
        return answers(loaded, ready, spec)

    monkeypatch.setattr(selection, "_answers", counted)
    for seconds, rows in ((1e-6, MOST), (1e6, ROWS)):
        monkeypatch.setattr(selection, "SECONDS", seconds)
        asked.clear()
        assert len(choose(content, OF_PICTURES))
        assert asked == [1, 1, *[rows] * (len(asked) - 2)]
        assert len(asked) - 2 <= selection.ASKED
