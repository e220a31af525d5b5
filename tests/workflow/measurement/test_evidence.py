"""What a verdict rests on is counted from decisions, and a number that was not measured is absent."""

import dataclasses

import numpy as np
import pytest

from edgefair.errors import UsageError
from edgefair.progress import silent
from edgefair.targets import load_profile, open_target
from edgefair.workflow.measurement.measure import Decisions, evidence_of, latencies, measure
from edgefair.workflow.measurement.records.rows import RecordedRows
from tests.targets.onnx_models import SPEC, classifier
from tests.workflow.small_project import columns_of, project


def measured(folder, data, reference=None, with_latency=False):
    with open_target(load_profile("local")) as probe:
        return measure(
            probe, classifier(folder / "m.onnx"), data.audit,
            classes=data.classes, reference=reference, fallback_spec=lambda _: SPEC, with_latency=with_latency,
            progress=silent,
        )  # fmt: skip


def test_decisions_are_those_of_the_equation_whatever_order_the_rows_are_in(tmp_path):
    _, data = project(tmp_path)
    x = np.stack([np.asarray(data.audit.table.columns[name], dtype=np.float32) for name in "ab"], axis=1)
    expected = (x @ np.array([[1.0, -1.0], [0.5, -0.5]], dtype=np.float32)).argmax(axis=1)
    assert np.array_equal(measured(tmp_path, data).decisions, expected)
    order = np.random.default_rng(0).permutation(len(data.audit))
    shuffled = dataclasses.replace(data, splits=data.splits | {"audit": data.audit.take(order)})
    assert np.array_equal(measured(tmp_path, shuffled).decisions, expected[order])


def test_without_latency_there_are_no_times_and_it_is_said_why(tmp_path):
    _, data = project(tmp_path)
    found = measured(tmp_path, data)
    assert found.times == {}
    assert "--no-latency" in found.not_timed
    assert latencies(found.times, level=0.05) == (None, None, None)


def test_a_reference_that_is_the_candidate_is_refused(tmp_path):
    _, data = project(tmp_path)
    with pytest.raises(UsageError, match="is the candidate itself"):
        measured(tmp_path, data, reference=classifier(tmp_path / "same.onnx"))


def test_a_ratio_of_latencies_needs_both_models():
    times = {"candidate": np.full(200, 1000), "reference": np.full(200, 3000)}
    alone = latencies({"candidate": times["candidate"]}, level=0.05)
    candidate, reference, faster = latencies(times, level=0.05)
    assert alone == (candidate, None, None)
    assert reference is not None
    assert faster is not None
    assert faster.ratio == pytest.approx(3.0)


def test_counts_are_of_the_decisions_and_pairs_exist_with_a_reference_alone(tmp_path):
    config, data = project(tmp_path)
    rows = data.audit
    right, wrong = rows.label, 1 - rows.label
    alone = evidence_of(config.policy, rows, data.classes, Decisions(wrong, None), size_bytes=1)
    assert alone.paired is None
    assert np.trace(alone.counts.table.sum(axis=0)) == 0
    both = evidence_of(
        config.policy,
        rows,
        data.classes,
        Decisions(right, wrong),
        size_bytes=1,
        not_measured=(("latency_p90", "no clock"),),
    )
    assert both.paired.candidate.table.tolist() == both.counts.table.tolist()
    assert both.paired.reference.table.tolist() == alone.counts.table.tolist()
    assert [why for _, why in both.not_measured] == ["no clock"]


def test_rows_in_another_order_are_other_pairs_and_the_same_people(tmp_path):
    _, data = project(tmp_path, data={"id": "id"})
    turned = data.audit.take(np.arange(len(data.audit))[::-1])
    one, other = (RecordedRows.of(rows, data.classes, source="p") for rows in (data.audit, turned))
    assert one.digest != other.digest
    assert one.audit.fingerprint == other.audit.fingerprint
    assert sorted(one.sketch) == sorted(other.sketch)


def test_an_id_is_the_person_whatever_else_is_written_of_them(tmp_path):
    columns = columns_of()
    _, data = project(tmp_path, columns, data={"id": "id"})
    _, scaled = project(tmp_path, columns | {"a": columns["a"] * 2}, data={"id": "id"})
    one, other = (RecordedRows.of(item.audit, item.classes, source="p") for item in (data, scaled))
    assert one.sketch == other.sketch
    assert one.audit.fingerprint != other.audit.fingerprint
