import contextlib
import io
import os
import subprocess
import sys

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefair.compress.quantization.calibrate import calibrate
from edgefair.compress.quantization.prepare import prepare_graph
from edgefair.compress.quantization.ranges.coding import Coding, least_error
from edgefair.compress.quantization.ranges.histogram import BINS, Histogram, best_window, windows_of
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


def squared(values, ends, steps=255):
    """Mean squared error as codes, by the words of the standard."""
    low, high = min(ends[0], 0), max(ends[1], 0)
    scale = (high - low) / steps
    zero = round(-low / scale)
    return (((np.rint(values / scale) + zero).clip(0, steps) - zero) * scale - values).__pow__(2).mean()


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("MinMax", {}),
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
        assert np.abs(np.subtract(ends, expected[name])).max() <= bin_width * (1.01 if method != "MinMax" else 1e-4)
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


def collected(parts, method, percentile=90.0):
    """onnxruntime's collector of histograms, which gets all values at once."""
    from onnxruntime.quantization.calibrate import HistogramCollector

    collector = HistogramCollector(method, False, BINS, 128, percentile, "same")
    with contextlib.redirect_stdout(io.StringIO()):
        collector.collect({"x": np.concatenate(parts)})
        low, high, *_ = collector.compute_collection_result()["x"]
    return collector.histogram_dict["x"], (float(low), float(high))


def histogram(parts):
    whole = np.concatenate(parts)
    found = Histogram(float(whole.min()), float(whole.max()))
    for part in parts:
        found.add(part)
    return found


@st.composite
def parts_of_values(draw):
    """Values of any shape of distribution: with ties, gaps, one sign, far outliers, and on the borders of bins."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = draw(st.integers(1, 4000))
    values = {
        "normal": lambda: rng.normal(size=size),
        "relu": lambda: np.maximum(rng.normal(size=size), 0),
        "tails": lambda: rng.standard_t(1.5, size=size),
        "one sign": lambda: -rng.gamma(0.3, size=size),
        "codes": lambda: rng.integers(-8, 9, size=size) / 8,
    }[draw(st.sampled_from(["normal", "relu", "tails", "one sign", "codes"]))]()
    given = draw(st.lists(st.floats(-1e6, 1e6, width=32), max_size=4))
    values = np.concatenate([values * draw(st.sampled_from([1e-3, 1.0, 37.0])), given]).astype(np.float32)
    if np.abs(values).max() < 1e-30:
        values[0] = 1
    return np.array_split(values, draw(st.integers(1, min(5, len(values)))))


@settings(max_examples=150, deadline=None)
@given(parts_of_values(), st.sampled_from([1.0, 50.0, 90.0, 99.0, 99.9, 99.99, 100.0]))
def test_a_streamed_percentile_is_within_one_bin_of_onnxruntimes(parts, percentile):
    (counts, edges, *_), expected = collected(parts, "percentile", percentile)
    found = histogram(parts)
    assert (found.counts == counts).all()
    bin_width = float(edges[-1] - edges[0]) / BINS
    assert np.abs(np.subtract(found.percentile(percentile), expected)).max() <= bin_width * 1.001


@settings(max_examples=3, deadline=None)
@given(parts_of_values())
def test_a_streamed_entropy_range_is_onnxruntimes_or_loses_less(parts):
    _, expected = collected(parts, "entropy")
    values = np.concatenate(parts).astype(np.float64)
    ends = histogram(parts).entropy(Coding())
    whole = squared(values, (values.min(), values.max()))
    bin_squared = (2 * np.abs(values).max() / BINS) ** 2
    assert squared(values, ends) <= whole + bin_squared
    assert ends == pytest.approx(expected, rel=1e-6) or squared(values, expected) >= whole - bin_squared


def test_entropy_keeps_the_few_values_of_a_clamp_that_is_zero_nearly_always():
    rng = np.random.default_rng(0)
    values = (np.clip(rng.normal(3, 2, 40_000), 0, 6) * (rng.random(40_000) < 0.02)).astype(np.float32)
    (_, _, _, *_), (_, peers) = collected([values], "entropy")
    low, high = histogram([values]).entropy(Coding())
    assert peers < 3
    assert low == 0
    assert squared(values, (low, high)) <= 1.2 * squared(values, (0, 6)) < squared(values, (0, peers)) / 10


@settings(max_examples=25, deadline=None)
@given(parts_of_values(), st.sampled_from([Coding(), Coding(254, symmetric=True), Coding(15)]))
def test_no_range_of_whole_bins_loses_less_than_the_one_of_least_error_by_more_than_its_grid(parts, coding):
    found = histogram(parts)
    wide = min(found.low, 0), max(found.high, 0)
    ends = least_error(*wide, lambda low, high: found.error(low, high, coding))
    least = found.error(*ends, coding)
    assert wide[0] <= ends[0] <= ends[1] <= wide[1]
    for share in (1.0, 0.9, 0.7, 0.5, 0.3):
        assert least <= found.error(wide[0] * share, wide[1] * share, coding) * (1 + 1e-9)
    assert least <= found.error(*found.percentile(99.999), coding) * 1.1 + 1e-9 * max(map(abs, wide)) ** 2


def test_with_group_mse_no_cell_pays_for_the_resolution_of_the_others():
    rng = np.random.default_rng(1)
    cell = np.repeat([0, 1], [980, 20])
    x = rng.normal(size=(1000, 12)).astype(np.float32) * np.where(cell == 1, 9, 1)[:, None].astype(np.float32)
    ends = {method: calibrate(LAYERS, [{"x": x}], method=method, cell=cell)["x"] for method in ("mse", "group-mse")}

    def worst(method):
        parts = [x[cell == index].astype(np.float64) for index in (0, 1)]
        return max(squared(part, ends[method]) / (part**2).mean() for part in parts)

    assert worst("group-mse") < 0.8 * worst("mse")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(64, 110), st.floats(0.02, 1.0), st.sampled_from([2, 50, 10**6]))
def test_the_window_of_least_divergence_is_onnxruntimes_also_where_others_are_as_good(seed, half, filled, most):
    from onnxruntime.quantization.calibrate import HistogramCollector

    rng = np.random.default_rng(seed)
    counts = np.where(rng.random(2 * half) < filled, rng.integers(1, most, size=2 * half), 0)
    counts[half] += 1
    edges = np.arange(-half, half + 1, dtype=np.float32)
    collector = HistogramCollector("entropy", False, 2 * half, 128, None, "same")
    low, high = collector.get_entropy_threshold((counts, edges, edges[0], edges[-1]), 128)
    first, end = best_window(counts, windows_of(counts))
    assert (edges[first], edges[end]) == (low, high)


def test_a_percentile_cuts_the_share_it_says_and_a_hundred_cuts_nothing():
    values = np.linspace(-1, 3, 100_001, dtype=np.float32)
    found = Histogram(-1.0, 3.0)
    found.add(values)
    low, high = found.percentile(90)
    assert ((values < low) | (values > high)).mean() == pytest.approx(0.1, abs=2e-3)
    assert low == pytest.approx(-0.8, abs=6 / BINS)
    assert high == pytest.approx(2.8, abs=6 / BINS)
    assert found.percentile(100) == (-1.0, 3.0)


@pytest.mark.parametrize("method", ["minmax", "entropy", "percentile", "group-mse"])
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
    doubles = onnx.ModelProto()
    doubles.CopyFrom(LAYERS)
    for item in doubles.graph.initializer:
        item.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(item).astype(np.float64), item.name))
    with pytest.raises(ModelError, match="has a constant FP32 weight"):
        calibrate(doubles, [{"x": rows(8)}], method="minmax")


def test_rows_that_cannot_be_read_again_are_refused():
    for method in ("percentile", "entropy"):
        with pytest.raises(DataError, match="when they were read again"):
            calibrate(LAYERS, iter([{"x": rows(8)}]), method=method)
    assert calibrate(LAYERS, iter([{"x": rows(8)}]), method="minmax")


@pytest.mark.parametrize("method", ["minmax", "entropy", "percentile", "group-mse"])
def test_numbers_that_are_nearly_too_large_are_refused_and_tiny_ones_are_zeros(method):
    prepared = prepare_graph(layers(4, 3, 2))
    with pytest.raises(ModelError, match="near the largest float"):
        calibrate(prepared, [{"x": np.full((9, 4), 3e38, dtype=np.float32)}], method=method)
    low, high = calibrate(prepared, [{"x": np.full((9, 4), 1e-38, dtype=np.float32)}], method=method)["x"]
    assert 0 <= low <= high < 1e-37


MEMORY = """
import resource, sys
from edgefair.compress.quantization.prepare import prepare_graph
from edgefair.compress.quantization.calibrate import calibrate
from tests.compress.graphs import pictures, residual

class Batches:
    def __init__(self, count):
        self.count = count

    def __iter__(self):
        return (pictures(32, side=32, seed=seed) for seed in range(self.count))

graph = prepare_graph(residual(channels=16, side=32))
for count in sys.argv[1:]:
    calibrate(graph, Batches(int(count)), method="percentile")
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_the_rows():
    # Freed blocks are given back, so that a peak is what was held.
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "1048576"}
    # A peak is that of the process so far: the second is larger only where more rows need more.
    command = [sys.executable, "-c", MEMORY, "3", "15"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, check=True)
    few_kib, many_kib = map(int, done.stdout.split())
    more_values = (15 - 3) * 32 * 6 * 16 * 32 * 32
    assert many_kib - few_kib < more_values * 4 / 1024 / 10
