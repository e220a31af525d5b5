"""Doubles of TensorRT and of the CUDA driver for machines without a GPU: host memory, and onnxruntime to compute with.

They keep to the documented calls and refuse what the real ones refuse, so they show that the engine's code holds
together; that TensorRT agrees is shown by the tests behind the marker `gpu`.
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
KINDS = {1: "FLOAT", 10: "HALF", 2: "UINT8", 3: "INT8", 6: "INT32", 7: "INT64", 9: "BOOL", 16: "BF16"}
DTYPES = {"FLOAT": "f4", "HALF": "f2", "UINT8": "u1", "INT8": "i1", "INT32": "i4", "INT64": "i8", "BOOL": "?"}


class Driver:
    """libcuda with `limit` bytes of memory."""

    def __init__(self, limit=1 << 24):
        self.limit = limit
        self.memory = {}

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
        return self._set(stream, 7)

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
        if stream.value != 7 or size > len(self.memory.get(block, b"")):
            return INVALID_VALUE
        ctypes.memmove(to, of, size)
        return 0

    def cuStreamSynchronize(self, stream):
        return 0 if stream.value == 7 else INVALID_VALUE

    def cuGetErrorString(self, status, text):
        return self._set(text, {OUT_OF_MEMORY: b"out of memory", INVALID_VALUE: b"invalid argument"}[status])


def tensorrt(version="10.9.0.34"):
    """The module; `built` counts the engines that were built, `flags` are those of the last network."""
    major = int(version.split(".")[0])
    flags = {"EXPLICIT_BATCH": 0, "STRONGLY_TYPED": 1} if major == 10 else {}
    module = types.ModuleType("tensorrt")
    module.__version__ = version
    module.built, module.flags = 0, None
    module.ILogger = Logger
    module.NetworkDefinitionCreationFlag = enum.IntEnum("NetworkDefinitionCreationFlag", flags)
    module.Builder = lambda log: Builder(module, log)
    module.OnnxParser = Parser
    module.Runtime = Runtime
    return module


class Logger:
    Severity = enum.IntEnum("Severity", ["INTERNAL_ERROR", "ERROR", "WARNING"], start=0)


class Builder:
    def __init__(self, module, log):
        self.module = module
        self.log = log

    def create_network(self, flags=0):
        self.module.flags = flags
        return types.SimpleNamespace(content=None, inputs=[], num_inputs=0, get_input=None)

    def create_builder_config(self):
        return Config(self.module.__version__)

    def create_optimization_profile(self):
        return Profile()

    def build_serialized_network(self, network, config):
        profile = config.profiles[0].shapes
        for name, shape in network.inputs:
            least, usual, most = profile[name]
            for declared, *sizes in zip(shape, least, usual, most, strict=True):
                if sorted(sizes) != sizes or (declared >= 0 and set(sizes) != {declared}):
                    self.log.log(Logger.Severity.ERROR, f"profile of {name}")
                    return None
        if config.cache is None:
            return None
        config.cache.content = self.module.__version__.encode() + b" times"
        self.module.built += 1
        most = next(iter(profile.values()))[2][0]
        return memoryview(b"PLAN%4d" % most + network.content)


class Profile:
    def __init__(self):
        self.shapes = {}

    def set_shape(self, name, least, usual, most):
        self.shapes[name] = least, usual, most


class Config:
    def __init__(self, version):
        self.version = version
        self.cache = None
        self.profiles = []

    def create_timing_cache(self, content):
        if content and not content.endswith(b" times"):
            return None
        return types.SimpleNamespace(content=content, serialize=lambda: memoryview(self.cache.content))

    def set_timing_cache(self, cache, ignore_mismatch):
        if cache.content and cache.content != self.version.encode() + b" times":
            return False
        self.cache = cache
        return True

    def get_timing_cache(self):
        return self.cache

    def add_optimization_profile(self, profile):
        self.profiles.append(profile)


class Parser:
    def __init__(self, network, log):
        self.network = network
        self.errors = []

    @property
    def num_errors(self):
        return len(self.errors)

    def get_error(self, index):
        return self.errors[index]

    def parse(self, content):
        graph = onnx.load_model_from_string(content).graph
        for node in graph.node:
            if node.op_type == "DynamicQuantizeLinear":
                says = {
                    "node_name": lambda name=node.name: name,
                    "desc": lambda: "no importer for DynamicQuantizeLinear",
                }
                self.errors.append(types.SimpleNamespace(**says))
                return False
        inputs = [
            (item.name, tuple(d.dim_value or -1 for d in item.type.tensor_type.shape.dim)) for item in graph.input
        ]
        self.network.content, self.network.inputs, self.network.num_inputs = content, inputs, len(inputs)
        self.network.get_input = lambda index: types.SimpleNamespace(name=inputs[index][0], shape=inputs[index][1])
        return True


class Runtime:
    def __init__(self, log):
        self.log = log

    def deserialize_cuda_engine(self, plan):
        if not plan.startswith(b"PLAN"):
            self.log.log(Logger.Severity.ERROR, "magic tag does not match")
            return None
        return Engine(int(plan[4:8]), plan[8:])


class Engine:
    def __init__(self, most, content):
        self.most = most
        self.content = content
        graph = onnx.load_model_from_string(content).graph
        self.items = {item.name: ("INPUT", item.type.tensor_type) for item in graph.input}
        self.items |= {item.name: ("OUTPUT", item.type.tensor_type) for item in graph.output}
        self.num_io_tensors = len(self.items)

    def get_tensor_name(self, index):
        return list(self.items)[index]

    def get_tensor_mode(self, name):
        return types.SimpleNamespace(name=self.items[name][0])

    def get_tensor_dtype(self, name):
        return types.SimpleNamespace(name=KINDS[self.items[name][1].elem_type])

    def get_tensor_shape(self, name):
        return tuple(dim.dim_value or -1 for dim in self.items[name][1].shape.dim)

    def create_execution_context(self):
        return Context(self)


class Context:
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

    def set_tensor_address(self, name, address):
        self.addresses[name] = address
        return True

    def _view(self, name):
        shape, dtype = self.get_tensor_shape(name), np.dtype(DTYPES[self.engine.get_tensor_dtype(name).name])
        size = int(np.prod(shape)) * dtype.itemsize
        return np.frombuffer((ctypes.c_char * size).from_address(self.addresses[name]), dtype).reshape(shape)

    def execute_async_v3(self, stream):
        if stream != 7:
            return False
        names = [item.name for item in self.session.get_outputs()]
        inputs = {item.name: self._view(item.name).copy() for item in self.session.get_inputs()}
        for name, value in zip(names, self.session.run(names, inputs), strict=True):
            self._view(name)[...] = value
        return True
