import contextlib
import io
import subprocess
import sys

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefair.compress.histogram import HALF, Histogram
from edgefair.compress.prepared import prepare_graph
from edgefair.compress.ranges import calibrate
from edgefair.errors import DataError, ModelError
from tests.compress.graphs import layers

LAYERS = prepare_graph(layers(12, 32, 8, 2))


def rows(count, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(count, 12)) * rng.gamma(1, 1, size=(count, 1))).astype(np.float32)


def peer(method, batches, tmp_path, **options):
    """onnxruntime's own calibrator."""
    from onnxruntime.quantization.calibrate import CalibrationMethod, create_calibrator

    class Reader:
        def __init__(self):
            self.rest = iter(batches)

        def get_next(self):
            return next(self.rest, None)

    onnx.save(LAYERS, tmp_path / "fp32.onnx")
    with contextlib.redirect_stdout(io.StringIO()):
        calibrator = create_calibrator(
            str(tmp_path / "fp32.onnx"),
            None,
            str(tmp_path / "augmented.onnx"),
            getattr(CalibrationMethod, method),
            extra_options=options,
        )
        calibrator.collect_data(Reader())
        found = calibrator.compute_data()
    return {name: tuple(float(np.squeeze(end)) for end in found[name].range_value) for name in found.keys()}  # noqa: SIM118


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("MinMax", {}),
        ("Entropy", {"num_bins": 2048, "num_quantized_bins": 128}),
        ("Percentile", {"num_bins": 2048, "percentile": 99.93, "symmetric": False}),
    ],
)
def test_ranges_are_within_one_bin_of_onnxruntimes(tmp_path, method, options):
    batches = [{"x": rows(700, seed=seed)} for seed in range(6)]
    expected = peer(method, batches, tmp_path, **options)
    widest = calibrate(LAYERS, batches, method="minmax")
    found = calibrate(LAYERS, batches, method=method.lower(), percentile=options.get("percentile", 99.99))
    assert set(found) <= set(expected)
    assert len(found) == 4
    for name, ends in found.items():
        bin_width = 2 * max(map(abs, widest[name])) / 2048
        assert np.abs(np.subtract(ends, expected[name])).max() <= bin_width * (1.001 if method != "MinMax" else 1e-4)
    if method != "MinMax":
        assert any(found[name][1] < 0.9 * widest[name][1] for name in found)


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(1, 200), max_size=6), st.sampled_from(["minmax", "percentile"]))
def test_how_rows_are_cut_into_batches_changes_nothing(cuts, method):
    x = rows(400)
    ends = np.cumsum(cuts)
    parts = [part for part in np.split(x, ends[ends < len(x)]) if len(part)]
    whole = calibrate(LAYERS, [{"x": x}], method=method)
    apart = calibrate(LAYERS, [{"x": part} for part in parts], method=method)
    for name, ends in whole.items():
        assert np.allclose(ends, apart[name], rtol=1e-3, atol=1e-5)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=60), st.integers(1, 60))
def test_a_histogram_of_parts_is_that_of_the_whole(values, cut):
    values = np.array(values, dtype=np.float32)
    whole, apart = Histogram(), Histogram()
    whole.add(values, float(values.min()), float(values.max()))
    for part in (values[:cut], values[cut:]):
        if part.size:
            apart.add(part, float(part.min()), float(part.max()))
    assert (whole.low, whole.high) == (apart.low, apart.high)
    assert whole.percentile(90) == apart.percentile(90)
    if whole.width:
        assert whole.counts.sum() <= len(values)
        assert max(abs(whole.low), abs(whole.high)) <= whole.width * HALF


def test_a_percentile_cuts_the_share_it_says_and_a_hundred_cuts_nothing():
    values = np.linspace(-1, 3, 100_001, dtype=np.float32)
    found = Histogram()
    found.add(values, -1.0, 3.0)
    low, high = found.percentile(90)
    assert ((values < low) | (values > high)).mean() == pytest.approx(0.1, abs=1e-3)
    assert low == pytest.approx(-0.8, abs=1e-3)
    assert high == pytest.approx(2.8, abs=1e-3)
    assert found.percentile(100) == (-1.0, 3.0)


@pytest.mark.parametrize("method", ["minmax", "entropy", "percentile"])
def test_a_value_that_is_always_zero_or_always_one_has_a_range(method):
    prepared = prepare_graph(layers(4, 3, 2))
    for value in (0, 1):
        low, high = calibrate(prepared, [{"x": np.full((9, 4), value, dtype=np.float32)}], method=method)["x"]
        assert low <= value <= high + 1e-3


def test_a_graph_with_a_fixed_number_of_rows_is_calibrated_batch_by_batch():
    model = layers(12, 8, 2)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 10
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 10
    x = rows(40)
    found = calibrate(prepare_graph(model), [{"x": part} for part in np.split(x, 4)], method="minmax")
    assert found["x"] == (float(x.min()), float(x.max()))


def test_no_rows_numbers_that_are_none_and_a_percentile_of_nothing_are_refused():
    with pytest.raises(DataError, match="no calibration row"):
        calibrate(LAYERS, [], method="minmax")
    bad = rows(8)
    bad[3, 2] = np.nan
    for method in ("minmax", "entropy"):
        with pytest.raises(ModelError, match="'x' is not finite"):
            calibrate(LAYERS, [{"x": bad}], method=method)
    with pytest.raises(DataError, match="percentile is 0"):
        calibrate(LAYERS, [{"x": rows(8)}], method="percentile", percentile=0)
    with pytest.raises(ModelError, match="cannot run"):
        calibrate(LAYERS, [{"z": rows(8)}], method="minmax")


MEMORY = """
import resource, sys
from edgefair.compress.prepared import prepare_graph
from edgefair.compress.ranges import calibrate
from tests.compress.graphs import pictures, residual

prepared = prepare_graph(residual(channels=16, side=32))
calibrate(prepared, (pictures(128, side=32, seed=seed) for seed in range(int(sys.argv[1]))), method="percentile")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_the_rows():
    few, many = (
        subprocess.Popen([sys.executable, "-c", MEMORY, batches], stdout=subprocess.PIPE, text=True)
        for batches in ("3", "15")
    )
    few_kib, many_kib = (int(process.communicate()[0]) for process in (few, many))
    more_values = (15 - 3) * 128 * 6 * 16 * 32 * 32
    assert many_kib - few_kib < more_values * 4 / 1024 / 10
