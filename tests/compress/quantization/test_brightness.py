"""One file, two verdicts: the audit finds on any machine what an emulated processor then shows."""

import numpy as np
import pytest

from edgefair.compress.analysis.saturation import audit_saturation
from edgefair.compress.quantization.static import Precision
from edgefair.probe.device import fingerprint, saturates_int8
from tests.compress.quantization.brightness import (
    BRIGHT,
    DARK,
    HORIZONTAL,
    INPUT,
    LAYERS,
    SATURATES,
    VERTICAL,
    batches,
    brightness_model,
    brightness_rows,
    gap,
    haswell,
    int8_of,
    native,
)

REPAIRED = {
    "7-bit": Precision(reduced_nodes=frozenset({SATURATES})),
    "unsigned": Precision(unsigned_nodes=frozenset({SATURATES})),
}


@pytest.fixture(scope="module")
def dense():
    return brightness_model()


@pytest.fixture(scope="module")
def rows():
    return brightness_rows(400, seed=1)


def test_the_case_is_the_same_in_every_run(dense):
    assert brightness_model().SerializeToString() == dense.SerializeToString()
    for once, again in zip(brightness_rows(40, seed=3), brightness_rows(40, seed=3), strict=True):
        assert np.array_equal(once, again)
    assert int8_of(dense).SerializeToString() == int8_of(dense).SerializeToString()


def test_the_dense_model_is_fair_and_where_sums_are_exact_so_is_its_int8_file(dense, rows):
    x, label, group = rows
    assert gap(native(dense, x), label, group) == 0
    if saturates_int8(fingerprint()):
        pytest.skip("this processor has no VNNI: it saturates itself")
    for precision in (Precision(), *REPAIRED.values()):
        assert gap(native(int8_of(dense, precision), x), label, group) < 0.02


def test_the_audit_names_the_layer_the_group_and_the_label(dense, rows):
    x, label, group = (part[:80] for part in rows)
    found = {
        item.node: item
        for item in audit_saturation(int8_of(dense), batches(x, 32), 2 * group + label, 4, places=64, seed=0)
    }
    assert tuple(found) == LAYERS
    assert [name for name, item in found.items() if item.saturates] == [SATURATES]
    share, error = found[SATURATES].share, found[SATURATES].error
    assert share[2 * DARK : 2 * DARK + 2].tolist() == [0, 0]
    worst = 2 * BRIGHT + HORIZONTAL
    assert share[worst] > 0.03
    assert share.argmax() == error.argmax() == worst
    assert error[worst] > 3 * error[2 * BRIGHT + VERTICAL]


@pytest.mark.parametrize("name", REPAIRED)
def test_what_is_repaired_in_the_saturating_layer_alone_saturates_nowhere(dense, rows, name):
    x, label, group = (part[:80] for part in rows)
    found = audit_saturation(int8_of(dense, REPAIRED[name]), batches(x), 2 * group + label, 4, seed=0)
    assert not any(item.saturates for item in found)


def test_the_same_bytes_are_unfair_on_an_emulated_processor_without_vnni_until_the_layer_is_repaired(
    dense, rows, tmp_path
):
    x, label, group = rows
    models = [dense, int8_of(dense), *(int8_of(dense, precision) for precision in REPAIRED.values())]
    found = [gap(logits.argmax(axis=1), label, group) for logits in haswell(models, {INPUT: x}, tmp_path)]
    assert found[0] == 0
    assert found[1] > 0.3
    assert max(found[2:]) < 0.02
