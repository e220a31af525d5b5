"""Where this machine has cores for both, candidate and reference decide the same batches at a time."""

import threading

import numpy as np
import onnxruntime
import pytest

from edgefair.data.files.table import Categories, Table
from edgefair.data.rows import TableRows
from edgefair.errors import MeasurementError
from edgefair.progress import silent
from edgefair.targets import load_profile, open_target
from edgefair.workflow.measurement import decide_rows as measure_rows
from edgefair.workflow.measurement.devices.once import Once
from edgefair.workflow.measurement.measure import measure
from tests.targets.onnx_models import SPEC, classifier
from tests.targets.scripted import lying

ROWS, BATCH = 300, 16


class Counted(TableRows):
    """Rows that count how often all of them are made."""

    made = 0

    def inputs(self, spec, batch_rows):
        if len(self) == ROWS:
            Counted.made += 1
        return super().inputs(spec, batch_rows)


def rows():
    x = np.random.default_rng(5).normal(size=(ROWS, 2)).astype(np.float32)
    sex = {"sex": Categories.of(["F", "M"] * (ROWS // 2))}
    label = np.arange(ROWS) // 2 % 2
    return Counted(Table({"a": x[:, 0], "b": x[:, 1]}), ("a", "b"), label, sex, None, None, ()), x


@pytest.fixture
def small_batches(monkeypatch):
    for module in ("decide_rows", "measure"):
        monkeypatch.setattr(f"edgefair.workflow.measurement.{module}.BATCH_ROWS", BATCH)


def decided(path, x):
    return onnxruntime.InferenceSession(path).run(["decision"], {"x": x})[0]


def models(folder):
    return classifier(folder / "c.onnx", weights=((1.0, -1.0), (2.0, -2.0))), classifier(folder / "r.onnx")


@pytest.mark.parametrize(("cores", "made"), [("2", 1), ("1", 2)])
def test_both_decide_as_each_does_and_with_two_cores_every_batch_is_made_once(
    tmp_path, monkeypatch, small_batches, cores, made
):
    monkeypatch.setattr("edgefair.data.files.lazy.core_count", lambda: 2)
    monkeypatch.setenv("OMP_NUM_THREADS", cores)
    monkeypatch.setattr(Counted, "made", 0)
    candidate, reference = models(tmp_path)
    asked, x = rows()
    with open_target(load_profile("local")) as probe:
        found = measure(
            probe,
            candidate,
            asked,
            classes=SPEC.classes,
            reference=reference,
            fallback_spec=lambda _: SPEC,
            with_latency=False,
            progress=silent,
        )
    np.testing.assert_array_equal(found.decisions, decided(candidate, x))
    np.testing.assert_array_equal(found.reference_decisions, decided(reference, x))
    assert (found.decisions != found.reference_decisions).any()
    assert len(found.score) == len(found.reference_score) == ROWS
    assert Counted.made == made


def test_where_one_of_both_fails_neither_is_waited_for(tmp_path, small_batches):
    candidate, reference = models(tmp_path)
    with (
        open_target(load_profile("local")) as one,
        lying(reference, [("run", "inputs", "'0' * 64")]) as other,
    ):
        both = [
            measure_rows.Asking(probe, probe.load(path, name=path.name), SPEC)
            for probe, path in ((one, candidate), (other, reference))
        ]
        with pytest.raises(MeasurementError, match="different inputs than it was sent"):
            measure_rows.decide_rows_with_both(*both, rows()[0], silent)


def test_what_is_made_once_reaches_both_readers_whole_in_order_and_with_its_failure():
    def source():
        yield from range(500)
        raise ValueError("row 500")

    found = ([], [])

    def read(reader, into):
        try:
            for item in reader:
                into.append(item)
        except ValueError as error:
            into.append(str(error))

    threads = [threading.Thread(target=read, args=both) for both in zip(Once(source()).readers(), found, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found[0][-1] == found[1][-1] == "row 500"
    assert found[0][:-1] == found[1][:-1] == list(range(500))
