"""TensorRT without a GPU: what is said where it is missing, and the engine's own code on doubles.

The tests at the end need a GPU and TensorRT, and skip with the reason elsewhere.
"""

import ctypes
import gc
import sys
import types

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgefair.probe.clock import latency
from edgefair.probe.errors import ProbeError
from edgefair.probe.onnx_files.spec import InputSpec, ModelSpec, Reading, TokenSpec
from edgefair.probe.runtimes.cuda import CudaError, Device, driver_facts
from edgefair.probe.runtimes.models import load
from tests.probe.small_networks import PRECISIONS, small_network
from tests.probe.tensorrt_double import INVALID_VALUE, STREAM, Driver, tensorrt
from tests.targets.onnx_models import classifier, save, value

OUTPUTS = ["decision", "score"]
CPU = {"threads": 1, "providers": ["CPUExecutionProvider"], "optimization": "all", "config": {}}


def options(**config):
    return {"runtime": "tensorrt", "threads": 1, "providers": [], "optimization": "all", "config": config}


def rows(count, seed=0):
    return {"x": np.random.default_rng(seed).normal(size=(count, 2)).astype(np.float32)}


@pytest.fixture
def model(tmp_path):
    return str(classifier(tmp_path / "m.onnx"))


@pytest.fixture
def gpu(monkeypatch):
    """Doubles in the place of TensorRT and the driver; the version can be changed."""

    def install(version="10.9.0.34", limit=1 << 24, **how):
        trt = tensorrt(version, **how)
        monkeypatch.setitem(sys.modules, "tensorrt", trt)
        driver = trt.driver = Driver(limit)
        monkeypatch.setattr("edgefair.probe.runtimes.cuda.ctypes.CDLL", lambda name: driver)
        return trt

    return install


def refused(model, **config):
    with pytest.raises(ProbeError) as caught:
        load(model, options(**config))
    return caught.value.kind, str(caught.value)


def test_without_tensorrt_the_error_says_what_to_install(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    kind, message = refused(model)
    assert kind == "no_runtime"
    assert "TensorRT is not installed on the device" in message
    assert "pip install tensorrt" in message
    assert "JetPack" in message


def test_a_package_whose_libraries_are_missing_is_not_called_absent(model, monkeypatch, tmp_path):
    monkeypatch.delitem(sys.modules, "tensorrt", raising=False)
    (tmp_path / "tensorrt.py").write_text("import ctypes\nctypes.CDLL('libnvinfer-absent.so.10')\n")
    monkeypatch.syspath_prepend(tmp_path)
    kind, message = refused(model)
    assert kind == "no_runtime"
    assert "TensorRT cannot be imported on the device (libnvinfer-absent.so.10: cannot open" in message


@pytest.mark.parametrize("version", ["8.6.1", "12.0.0"])
def test_other_versions_than_10_and_11_are_refused(model, gpu, version):
    gpu(version)
    assert refused(model)[0] == "no_runtime"
    assert f"TensorRT {version} is not supported, only 10 and 11" in refused(model)[1]


def test_what_is_left_of_an_uninstalled_package_is_no_tensorrt(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", types.ModuleType("tensorrt"))
    assert refused(model)[0] == "no_runtime"
    assert "TensorRT without a version is not supported" in refused(model)[1]


def test_a_tensorrt_that_does_not_start_says_why_in_its_own_words(model, gpu):
    gpu(starts=False)
    kind, message = refused(model)
    assert kind == "no_runtime"
    assert message == (
        "TensorRT 10.9.0.34 does not start (Runtime): CUDA initialization failure with error: 35; in catchCudaError"
    )


def test_an_engine_that_its_own_tensorrt_cannot_load_is_no_fault_of_the_model(model, gpu):
    gpu().Runtime.deserialize_cuda_engine = lambda self, serialized_engine: None
    assert refused(model) == ("no_runtime", "TensorRT cannot load the engine that it built: no reason is given")


def test_one_logger_serves_the_whole_process(model, gpu):
    """TensorRT goes on writing to the first that it got, whatever becomes of it."""
    trt = gpu()
    load(model, options())
    load(model, options())
    assert len(trt.loggers) == 4
    assert len(set(map(id, trt.loggers))) == 1


def test_without_a_driver_the_error_says_so(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", tensorrt())
    monkeypatch.setattr("edgefair.probe.runtimes.cuda.LIBRARY", "libcuda-absent.so.1")
    kind, message = refused(model)
    assert kind == "no_runtime"
    assert "needs an NVIDIA GPU and its driver: no CUDA driver on the device (libcuda-absent.so.1" in message


@pytest.mark.parametrize("count", [1, 64, 65, 200])
def test_any_number_of_rows_gives_the_decisions_of_the_graph(model, gpu, count):
    gpu()
    expected, found = load(model, CPU).run(rows(count), OUTPUTS), load(model, options()).run(rows(count), OUTPUTS)
    for name in OUTPUTS:
        np.testing.assert_array_equal(found[name], expected[name])


def test_batches_of_changing_size_are_not_mixed_up(model, gpu):
    gpu()
    engine, session = load(model, options(max_rows="8")), load(model, CPU)
    for count, names in ((3, OUTPUTS), (8, ["score"]), (1, ["decision"]), (20, OUTPUTS), (3, OUTPUTS)):
        expected, found = session.run(rows(count, count), names), engine.run(rows(count, count), names)
        assert list(found) == names
        for name in names:
            np.testing.assert_array_equal(found[name], expected[name])


@pytest.mark.parametrize("version", ["10.9.0.34", "11.4.0.106"])
def test_it_is_described_as_onnxruntime_would_and_bound_to_its_device(model, gpu, version):
    trt = gpu(version)
    said, expected = load(model, options()).describe(), load(model, CPU).describe()
    assert said.pop("providers") == [f"TensorRT {version}"]
    engine = said.pop("engine")
    expected.pop("providers")
    assert said == expected
    bound = {"tensorrt": version, "device": "Double", "compute_capability": "8.7", "cuda_driver": "12.6"}
    assert engine.items() >= bound.items()
    assert len(engine["sha256"]) == 64
    assert engine["sha256"] != said["sha256"]
    assert trt.flags == 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)


def test_pictures_go_in_as_bytes_and_decisions_come_out_as_int64(tmp_path, gpu):
    gpu()
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("Cast", ["picture"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["pixels"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["score"]),
        helper.make_node("ArgMax", ["score"], ["decision"], axis=1, keepdims=0),
    ]
    outputs = [value("decision", TensorProto.INT64, ["n"]), value("score", TensorProto.FLOAT, ["n", 2])]
    weights = numpy_helper.from_array(rng.normal(size=(48, 2)).astype(np.float32), "w")
    path = str(
        save(tmp_path / "p.onnx", nodes, [value("picture", TensorProto.UINT8, ["n", 4, 4, 3])], outputs, [weights])
    )
    engine = load(path, options())
    assert [item["type"] for item in engine.describe()["inputs"]] == ["tensor(uint8)"]
    inputs = {"picture": rng.integers(0, 256, (80, 4, 4, 3), dtype=np.uint8)}
    found, expected = engine.run(inputs, OUTPUTS), load(path, CPU).run(inputs, OUTPUTS)
    assert found["decision"].dtype == np.int64
    assert 0 < found["decision"].sum() < 80
    np.testing.assert_array_equal(found["decision"], expected["decision"])


def test_the_latency_loop_runs_it(model, gpu):
    gpu()
    rules = {"warmup": 1, "min_queries": 5, "min_seconds": 0.0, "max_seconds": 60.0}
    times = latency.measure({"m": load(model, options())}, rows(3), {"m": ["decision"]}, **rules)
    assert len(times["m"]) == 5


def test_the_timing_cache_is_kept_and_another_versions_is_not_believed(model, gpu, tmp_path):
    cache = tmp_path / "deep" / "times"
    gpu("10.9.0.34")
    load(model, options(timing_cache=str(cache)))
    assert cache.read_bytes() == b"10.9.0.34 times"
    for damaged in (b"10.3.0 times", b"garbage"):
        cache.write_bytes(damaged)
        load(model, options(timing_cache=str(cache)))
        assert cache.read_bytes() == b"10.9.0.34 times"


def test_a_kept_engine_is_the_one_that_runs_again(model, gpu, tmp_path):
    trt = gpu()
    first = load(model, options(engines=str(tmp_path / "engines"))).describe()["engine"]
    (kept,) = (tmp_path / "engines").iterdir()
    assert load(model, options(engines=str(tmp_path / "engines"))).describe()["engine"] == first
    assert trt.built == 1
    kept.write_bytes(b"damaged")
    assert load(model, options(engines=str(tmp_path / "engines"))).describe()["engine"] == first
    assert trt.built == 2
    other = classifier(tmp_path / "n.onnx", weights=((2.0, 1.0), (0.0, 1.0)))
    load(str(other), options(engines=str(tmp_path / "engines")))
    load(model, options(engines=str(tmp_path / "engines"), max_rows="3"))
    assert trt.built == 4
    later = gpu("10.13.3.9")
    load(model, options(engines=str(tmp_path / "engines")))
    assert later.built == 1
    assert len(list((tmp_path / "engines").iterdir())) == 4


def test_what_cannot_be_parsed_is_an_invalid_graph_with_its_node(tmp_path, gpu):
    gpu()
    node = helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"], "quantize_here")
    path = save(tmp_path / "m.onnx", [node], [value("x", 1, ["n", 2])], [value("q", TensorProto.UINT8, ["n", 2])])
    kind, message = refused(str(path))
    assert kind == "invalid_graph"
    assert "TensorRT cannot read it: DynamicQuantizeLinear 'quantize_here': false (UNSUPPORTED_NODE)" in message


def test_a_size_beside_the_rows_must_be_known(tmp_path, gpu):
    gpu()
    assert "has the shape (-1, -1), and its sizes are not known" in refused(texts(tmp_path, None))[1]
    item = InputSpec("ids", "int64", tokens=TokenSpec("text", "ids", 7, "x", 50, 0))
    path = texts(tmp_path, ModelSpec((item,), Reading("decision", "label"), ("no", "yes")))
    found = load(path, options()).run({"ids": np.ones((3, 7), dtype=np.int64)}, ["decision"])
    assert found["decision"].tolist() == [7, 7, 7]


def texts(folder, spec):
    axes = numpy_helper.from_array(np.array([1]), "axes")
    node = helper.make_node("ReduceSum", ["ids", "axes"], ["decision"], keepdims=0)
    about = None if spec is None else {"edgefair.spec": spec.to_json()}
    wanted = [value("ids", TensorProto.INT64, ["n", "tokens"])], [value("decision", TensorProto.INT64, ["n"])]
    return str(save(folder / "t.onnx", [node], *wanted, [axes], about))


def test_a_fixed_batch_and_types_that_are_not_sent_are_invalid_graphs(tmp_path, gpu):
    gpu()
    assert "fixed shape (5, 2)" in refused(str(classifier(tmp_path / "f.onnx", rows=5)))[1]
    half = value("x", TensorProto.BFLOAT16, ["n", 2]), value("y", TensorProto.BFLOAT16, ["n", 2])
    path = save(tmp_path / "b.onnx", [helper.make_node("Relu", ["x"], ["y"])], half[:1], half[1:])
    assert "'x' is BF16, which is not supported" in refused(str(path))[1]


def test_an_input_that_is_read_as_sizes_is_refused(tmp_path, gpu):
    """TensorRT reads such a one from host memory."""
    gpu()
    node = helper.make_node("Reshape", ["x", "sizes"], ["y"])
    inputs = [value("x", TensorProto.FLOAT, ["n", 2]), value("sizes", TensorProto.INT64, ["m"])]
    path = save(tmp_path / "s.onnx", [node], inputs, [value("y", TensorProto.FLOAT, ["n", 2])])
    assert "the numbers of 'sizes' are sizes of other tensors: not supported" in refused(str(path))[1]


@pytest.mark.parametrize(
    "inputs",
    [
        {"y": np.zeros((3, 2), dtype=np.float32)},
        {"x": np.zeros((3, 2), dtype=np.float64)},
        {"x": np.zeros(3, dtype=np.float32)},
        {"x": np.zeros((3, 5), dtype=np.float32)},
        {"x": np.zeros((0, 2), dtype=np.float32)},
    ],
    ids=["name", "dtype", "rank", "columns", "no rows"],
)
def test_inputs_that_do_not_fit_are_refused_and_the_engine_goes_on(model, gpu, inputs):
    gpu()
    engine = load(model, options())
    with pytest.raises(ProbeError) as caught:
        engine.run(inputs, OUTPUTS)
    assert caught.value.kind == "bad_input"
    np.testing.assert_array_equal(
        engine.run(rows(2), OUTPUTS)["score"], load(model, CPU).run(rows(2), OUTPUTS)["score"]
    )


def test_a_full_device_is_out_of_memory(model, gpu):
    gpu(limit=16)
    with pytest.raises(ProbeError, match="bytes on Double: cuMemAlloc_v2: out of memory") as caught:
        load(model, options()).run(rows(64), OUTPUTS)
    assert caught.value.kind == "out_of_memory"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"timing_cahce": "x"}, "config 'timing_cahce' is not a TensorRT setting: timing_cache, engines, max_rows"),
        ({"max_rows": "many"}, "config max_rows is 'many', not a number of rows"),
        ({"max_rows": "0"}, "config max_rows is '0', not a number of rows"),
    ],
)
def test_settings_that_mean_nothing_are_refused(model, gpu, config, message):
    gpu()
    assert refused(model, **config) == ("bad_request", message)


@pytest.fixture(scope="session")
def real():
    """A device and a TensorRT to build for it."""
    pytest.importorskip("tensorrt", reason="TensorRT is not installed: pip install tensorrt")
    try:
        return Device()
    except CudaError as error:
        pytest.skip(f"no CUDA device: {error}")


def close(path, inputs, tolerance):
    """The engine's description, once its scores are those of onnxruntime on the CPU."""
    engine = load(path, options())
    found, expected = engine.run(inputs, OUTPUTS), load(path, CPU).run(inputs, OUTPUTS)
    assert found["decision"].dtype == np.int64
    assert np.abs(found["score"] - expected["score"]).max() < tolerance
    clear = np.abs(expected["score"][:, 1] - 0.5) > tolerance
    np.testing.assert_array_equal(found["decision"][clear], expected["decision"][clear])
    return engine.describe()


@pytest.mark.gpu
@pytest.mark.parametrize("network", ["mlp", "resnet-18", "text-transformer"])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_tensorrt_decides_as_onnxruntime_does(real, tmp_path, network, precision):
    path, inputs = small_network(tmp_path, network, precision)
    said, expected = close(path, inputs, 0.05 if precision == "int8" else 0.02), load(path, CPU).describe()
    print(said["engine"])
    assert said["engine"]["device"] == real.name
    assert [item["type"] for item in said["inputs"]] == [item["type"] for item in expected["inputs"]]
    assert [item["type"] for item in said["outputs"]] == [item["type"] for item in expected["outputs"]]
    assert said["metadata"] == expected["metadata"]


@pytest.mark.gpu
def test_a_kept_engine_and_its_timing_cache_are_used_again(real, tmp_path):
    path, inputs = small_network(tmp_path, "mlp")
    kept = options(engines=str(tmp_path / "engines"), timing_cache=str(tmp_path / "times"))
    first, again = load(path, kept), load(path, kept)
    assert first.describe()["engine"]["sha256"] == again.describe()["engine"]["sha256"]
    np.testing.assert_array_equal(first.run(inputs, OUTPUTS)["score"], again.run(inputs, OUTPUTS)["score"])
    assert (tmp_path / "times").stat().st_size > 0


def test_the_driver_is_asked_by_names_that_libcuda_has(gpu):
    """Every call of `Device` is one of the double, whose names are those of cuda.h."""
    driver = gpu().driver
    device = Device()
    assert (device.name, device.compute_capability, device.driver) == ("Double", "8.7", "12.6")
    assert device.stream == STREAM
    address = device.allocate(8)
    sent, back = np.arange(2.0, dtype=np.float32), np.zeros(2, dtype=np.float32)
    device.upload(address, sent)
    device.download(back, address)
    device.wait()
    np.testing.assert_array_equal(back, sent)
    with pytest.raises(CudaError, match="cuMemcpyHtoDAsync_v2: invalid argument"):
        device.upload(address + ctypes.sizeof(ctypes.c_int64), sent)
    device.free(address)
    assert not driver.memory


def test_what_a_device_is_can_be_told_without_taking_anything_of_it(gpu, monkeypatch):
    driver = gpu().driver
    assert driver_facts(3) == {"device": "Double", "compute_capability": "8.7", "cuda_driver": "12.6"}
    assert not driver.streams
    monkeypatch.setattr(driver, "cuDeviceGet", lambda device, number: INVALID_VALUE if number else 0)
    assert driver_facts(3) == {}
    assert driver_facts()["device"] == "Double"


def test_a_model_that_is_dropped_gives_its_memory_and_its_stream_back(model, gpu):
    driver = gpu().driver
    first, second = load(model, options()), load(model, options())
    kept = first.run(rows(64), OUTPUTS)
    second.run(rows(64), OUTPUTS)
    assert driver.streams == 2
    of_two = len(driver.memory)
    del second
    gc.collect()
    assert driver.streams == 1
    assert len(driver.memory) == of_two / 2
    np.testing.assert_array_equal(first.run(rows(64), OUTPUTS)["score"], kept["score"])
