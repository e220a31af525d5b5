"""Doubles of TensorRT and of the CUDA driver for machines without a GPU: host memory, and onnxruntime to compute with.

They refuse what the real ones refuse, so they show that the engine's code holds together. Their classes, calls and
arguments are named as TensorRT's: `test_tensorrt_packages.py` compares them with the packages that are installed. That
TensorRT agrees is shown by the tests behind the marker `gpu`.
"""

# ruff: noqa: N802 (the names are those of cuda.h)

import ctypes
import enum
import types

import numpy as np
import onnx
import onnxruntime

OUT_OF_MEMORY = 2
INVALID_VALUE = 1
STREAM = 0x7F00_0000_0007
KINDS = {1: "FLOAT", 10: "HALF", 2: "UINT8", 3: "INT8", 6: "INT32", 7: "INT64", 9: "BOOL", 16: "BF16"}
DTYPES = {"FLOAT": "f4", "HALF": "f2", "UINT8": "u1", "INT8": "i1", "INT32": "i4", "INT64": "i8", "BOOL": "?"}


class Driver:
    """libcuda with `limit` bytes of memory."""

    def __init__(self, limit=1 << 24):
        self.limit = limit
        self.memory = {}
        self.streams = 0

    def _set(self, reference, value):
        reference._obj.value = value
        return 0

    def cuInit(self, flags):
        return 0

    def cuDeviceGet(self, device, number):
        return self._set(device, number)

    def cuDeviceGetName(self, name, size, device):
        name.value = b"Double"
        return 0

    def cuDeviceGetAttribute(self, value, attribute, device):
        return self._set(value, {75: 8, 76: 7}[attribute])

    def cuDriverGetVersion(self, version):
        return self._set(version, 12060)

    def cuDevicePrimaryCtxRetain(self, context, device):
        return self._set(context, 5)

    def cuCtxSetCurrent(self, context):
        return 0 if context.value == 5 else INVALID_VALUE

    def cuStreamCreate(self, stream, flags):
        self.streams += 1
        return self._set(stream, STREAM)

    def cuStreamDestroy_v2(self, stream):
        self.streams -= 1
        return self.cuStreamSynchronize(stream)

    def cuMemAlloc_v2(self, address, size):
        if sum(len(block) for block in self.memory.values()) + size.value > self.limit:
            return OUT_OF_MEMORY
        block = ctypes.create_string_buffer(size.value)
        self.memory[ctypes.addressof(block)] = block
        return self._set(address, ctypes.addressof(block))

    def cuMemFree_v2(self, address):
        del self.memory[address.value]
        return 0

    def cuMemcpyHtoDAsync_v2(self, to, data, size, stream):
        return self._copy(to.value, data.value, to.value, size.value, stream)

    def cuMemcpyDtoHAsync_v2(self, data, of, size, stream):
        return self._copy(data.value, of.value, of.value, size.value, stream)

    def _copy(self, to, of, block, size, stream):
        if stream.value != STREAM or size > len(self.memory.get(block, b"")):
            return INVALID_VALUE
        ctypes.memmove(to, of, size)
        return 0

    def cuStreamSynchronize(self, stream):
        return 0 if stream.value == STREAM else INVALID_VALUE

    def cuGetErrorString(self, status, text):
        return self._set(text, {OUT_OF_MEMORY: b"out of memory", INVALID_VALUE: b"invalid argument"}[status])


class ILogger:
    class Severity(enum.IntEnum):
        INTERNAL_ERROR = 0
        ERROR = 1


class DataType(enum.Enum):
    FLOAT, HALF, UINT8, INT8, INT32, INT64, BOOL, BF16 = range(8)


class TensorIOMode(enum.Enum):
    INPUT, OUTPUT = range(2)


class TensorLocation(enum.Enum):
    DEVICE, HOST = range(2)


class ErrorCode(enum.Enum):
    UNSUPPORTED_NODE = 0


def tensorrt(version="10.9.0.34", *, starts=True):
    """The module; `built` counts the engines that were built, `flags` are those of the last network.

    `loggers` are all that were given. With `starts=False` builders and runtimes give up, as on an old driver.
    """
    flags = {"EXPLICIT_BATCH": 0, "STRONGLY_TYPED": 1} if version.startswith("10.") else {"STRONGLY_TYPED": 0}
    module = types.ModuleType("tensorrt")
    module.__version__ = version
    module.built, module.flags, module.loggers, module.starts = 0, None, [], starts
    module.ILogger, module.OnnxParser = ILogger, OnnxParser
    module.NetworkDefinitionCreationFlag = enum.IntEnum("NetworkDefinitionCreationFlag", flags)
    module.Builder = type("Builder", (Builder,), {"_module": module})
    module.Runtime = type("Runtime", (Runtime,), {"_module": module})
    return module


class _Started:
    _module = None

    def __init__(self, logger):
        self._log = logger
        self._module.loggers.append(logger)
        if not self._module.starts:
            logger.log(ILogger.Severity.ERROR, "CUDA initialization failure with error: 35")
            logger.log(ILogger.Severity.ERROR, "in catchCudaError")
            raise TypeError("pybind11::init(): factory function returned nullptr")


class Builder(_Started):
    def create_network(self, flags=0):
        self._module.flags = flags
        return INetworkDefinition()

    def create_builder_config(self):
        return IBuilderConfig(self._module.__version__)

    def create_optimization_profile(self):
        return IOptimizationProfile()

    def build_serialized_network(self, network, config):
        (profile,) = config.profiles
        for item in network.inputs:
            least, usual, most = profile.shapes[item.name]
            for declared, *sizes in zip(item.shape, least, usual, most, strict=True):
                if sorted(sizes) != sizes or (declared >= 0 and set(sizes) != {declared}):
                    self._log.log(ILogger.Severity.ERROR, f"profile of {item.name}")
                    return None
        if config.cache is None:
            return None
        config.cache.content = self._module.__version__.encode() + b" times"
        self._module.built += 1
        most = next(iter(profile.shapes.values()))[2][0]
        return memoryview(b"PLAN%4d" % most + network.content)


class INetworkDefinition:
    def __init__(self):
        self.content, self.inputs = None, []

    @property
    def num_inputs(self):
        return len(self.inputs)

    def get_input(self, index):
        return self.inputs[index]


class ITensor:
    def __init__(self, item):
        self._item = item

    @property
    def name(self):
        return self._item.name

    @property
    def shape(self):
        return tuple(dim.dim_value or -1 for dim in self._item.type.tensor_type.shape.dim)


class IOptimizationProfile:
    def __init__(self):
        self.shapes = {}

    def set_shape(self, input, min, opt, max):
        self.shapes[input] = min, opt, max


class IBuilderConfig:
    def __init__(self, version):
        self.version = version
        self.cache = None
        self.profiles = []

    def create_timing_cache(self, serialized_timing_cache):
        if serialized_timing_cache and not serialized_timing_cache.endswith(b" times"):
            return None
        return ITimingCache(serialized_timing_cache)

    def set_timing_cache(self, cache, ignore_mismatch):
        if cache.content and cache.content != self.version.encode() + b" times":
            return False
        self.cache = cache
        return True

    def get_timing_cache(self):
        return self.cache

    def add_optimization_profile(self, profile):
        self.profiles.append(profile)
        return 0


class ITimingCache:
    def __init__(self, content):
        self.content = content

    def serialize(self):
        return memoryview(self.content)


class ParserError:
    def __init__(self, node):
        self._node = node

    def node_name(self):
        return self._node.name

    def node_operator(self):
        return self._node.op_type

    def desc(self):
        return "false"

    def code(self):
        return ErrorCode.UNSUPPORTED_NODE


class OnnxParser:
    def __init__(self, network, logger):
        self._network = network
        self._errors = []

    @property
    def num_errors(self):
        return len(self._errors)

    def get_error(self, index):
        return self._errors[index]

    def parse(self, model):
        graph = onnx.load_model_from_string(model).graph
        self._errors = [ParserError(node) for node in graph.node if node.op_type == "DynamicQuantizeLinear"]
        self._network.content, self._network.inputs = model, [ITensor(item) for item in graph.input]
        return not self._errors


class Runtime(_Started):
    def deserialize_cuda_engine(self, serialized_engine):
        if not serialized_engine.startswith(b"PLAN"):
            self._log.log(ILogger.Severity.ERROR, "magic tag does not match")
            return None
        return ICudaEngine(int(serialized_engine[4:8]), serialized_engine[8:])


class ICudaEngine:
    def __init__(self, most, content):
        self.most = most
        self.content = content
        graph = onnx.load_model_from_string(content).graph
        self.items = {item.name: (TensorIOMode.INPUT, item) for item in graph.input}
        self.items |= {item.name: (TensorIOMode.OUTPUT, item) for item in graph.output}
        self.sizes = {name for node in graph.node if node.op_type in {"Reshape", "Expand"} for name in node.input[1:]}

    @property
    def num_io_tensors(self):
        return len(self.items)

    def get_tensor_name(self, index):
        return list(self.items)[index]

    def get_tensor_mode(self, name):
        return self.items[name][0]

    def get_tensor_location(self, name):
        return TensorLocation.HOST if name in self.sizes else TensorLocation.DEVICE

    def get_tensor_dtype(self, name):
        return DataType[KINDS[self.items[name][1].type.tensor_type.elem_type]]

    def get_tensor_shape(self, name):
        return ITensor(self.items[name][1]).shape

    def create_execution_context(self):
        return IExecutionContext(self)


class IExecutionContext:
    def __init__(self, engine):
        self.engine = engine
        self.session = onnxruntime.InferenceSession(engine.content, providers=["CPUExecutionProvider"])
        self.shapes, self.addresses = {}, {}

    def set_input_shape(self, name, shape):
        declared = self.engine.get_tensor_shape(name)
        if shape[0] > self.engine.most or any(a not in {-1, b} for a, b in zip(declared, shape, strict=True)):
            return False
        self.shapes[name] = shape
        return True

    def infer_shapes(self):
        return [item.name for item in self.session.get_inputs() if item.name not in self.shapes]

    def get_tensor_shape(self, name):
        rows = next(iter(self.shapes.values()))[0]
        return self.shapes.get(name) or (rows, *self.engine.get_tensor_shape(name)[1:])

    def set_tensor_address(self, name, memory):
        self.addresses[name] = memory
        return True

    def execute_async_v3(self, stream_handle):
        if stream_handle != STREAM:
            return False
        names = [item.name for item in self.session.get_outputs()]
        inputs = {item.name: self._view(item.name).copy() for item in self.session.get_inputs()}
        for name, value in zip(names, self.session.run(names, inputs), strict=True):
            self._view(name)[...] = value
        return True

    def _view(self, name):
        shape, dtype = self.get_tensor_shape(name), np.dtype(DTYPES[self.engine.get_tensor_dtype(name).name])
        size = int(np.prod(shape)) * dtype.itemsize
        return np.frombuffer((ctypes.c_char * size).from_address(self.addresses[name]), dtype).reshape(shape)
