"""Options of execution providers that change how a graph is computed, and that read, write and load no file.

A provider ignores an option that it does not know, and most of the values that it does not know, without a word: what
is not in this table would be said in a report and not be so. From the providers' own lists:
https://onnxruntime.ai/docs/execution-providers/ and, of the plugins, https://github.com/onnxruntime/onnxruntime-qnn,
https://onnxruntime.ai/docs/execution-providers/OpenVINO-ExecutionProvider.html, https://nvidia.github.io/TensorRT-RTX-EP-ABI.
"""

from __future__ import annotations

import json
import re
from typing import Callable, Dict, List, Mapping, Tuple

Check = Callable[[str], bool]


def _matching(pattern: str) -> Check:
    compiled = re.compile(pattern)
    return lambda value: compiled.fullmatch(value) is not None


FLAG = _matching("[01]|True|False|true|false")
NUMBER = _matching("[0-9]{1,19}")
# Of OpenVINO's properties by device: none that names a file or a folder (CACHE_DIR, CONFIG_FILE, ...).
OPENVINO_PROPERTIES = frozenset(
    (
        "INFERENCE_PRECISION_HINT", "EXECUTION_MODE_HINT", "PERFORMANCE_HINT", "INFERENCE_NUM_THREADS", "NUM_STREAMS",
        "MODEL_PRIORITY", "ENABLE_CPU_PINNING", "ENABLE_HYPER_THREADING", "SCHEDULING_CORE_TYPE", "NPU_TURBO",
        "DYNAMIC_QUANTIZATION_GROUP_SIZE", "KV_CACHE_PRECISION", "NPU_COMPILATION_MODE_PARAMS", "NPU_TILES",
    )
)  # fmt: skip
_WORD = _matching(r"[A-Za-z0-9_=.:+ -]{1,200}")


def _properties(value: str) -> bool:
    """Whether it is a JSON object of harmless properties by device, as `{"CPU": {"NUM_STREAMS": "1"}}`."""
    try:
        devices = json.loads(value)
        return all(
            set(own) <= OPENVINO_PROPERTIES and all(isinstance(text, str) and _WORD(text) for text in own.values())
            for own in [dict(own) for own in dict(devices).values()]
        )
    except (ValueError, TypeError, RecursionError):
        return False


def _table(*rows: Tuple[Check, str]) -> Dict[str, Check]:
    return {name: check for check, names in rows for name in names.split()}


_SHAPES = _matching(r"[A-Za-z0-9_:x,./-]{1,2000}")
_QNN_MODES = (
    "default|burst|balanced|high_performance|sustained_high_performance|high_power_saver|low_balanced|low_power_saver|"
    "power_saver|extreme_power_saver"
)
OPTIONS: Dict[str, Dict[str, Check]] = {
    "CPUExecutionProvider": {},
    "CUDAExecutionProvider": _table(
        (NUMBER, "device_id gpu_mem_limit sdpa_kernel"),
        (FLAG, "use_tf32 prefer_nhwc cudnn_conv_use_max_workspace cudnn_conv1d_pad_to_nc1d fuse_conv_bias"),
        (FLAG, "enable_skip_layer_norm_strict_mode use_ep_level_unified_stream"),
        (FLAG, "do_copy_in_default_stream enable_cuda_graph"),
        (_matching("EXHAUSTIVE|HEURISTIC|DEFAULT"), "cudnn_conv_algo_search"),
        (_matching("kNextPowerOfTwo|kSameAsRequested"), "arena_extend_strategy"),
    ),
    "TensorrtExecutionProvider": _table(
        (NUMBER, "device_id trt_max_workspace_size trt_min_subgraph_size trt_max_partition_iterations"),
        (NUMBER, "trt_builder_optimization_level trt_auxiliary_streams trt_dla_core"),
        (FLAG, "trt_fp16_enable trt_bf16_enable trt_int8_enable trt_dla_enable trt_cuda_graph_enable"),
        (FLAG, "trt_layer_norm_fp32_fallback trt_sparsity_enable trt_context_memory_sharing_enable"),
        (FLAG, "trt_force_sequential_engine_build trt_build_heuristics_enable"),
    ),
    "NvTensorRTRTXExecutionProvider": _table(
        (NUMBER, "device_id nv_max_workspace_size nv_max_shared_mem_size"),
        (FLAG, "enable_cuda_graph"),
        (_SHAPES, "nv_profile_min_shapes nv_profile_opt_shapes nv_profile_max_shapes"),
    ),
    # Of its backends not `saver` and `ir`, which write files and compute nothing: `saver` answers zeros.
    "QNNExecutionProvider": _table(
        (_matching("htp|cpu|gpu"), "backend_type"),
        (_matching("libQnn(Htp|Cpu|Gpu)[.]so|Qnn(Htp|Cpu|Gpu)[.]dll"), "backend_path"),
        (NUMBER, "htp_arch soc_model device_id vtcm_mb rpc_control_latency"),
        (_matching("[0-3]"), "htp_graph_finalization_optimization_mode"),
        (_matching("low|normal|normal_high|high"), "qnn_context_priority"),
        (_matching(_QNN_MODES), "htp_performance_mode"),
        (FLAG, "enable_htp_fp16_precision enable_htp_fp16_clamp_overflow htp_bf16_enable"),
        (FLAG, "offload_graph_io_quantization enable_htp_shared_memory_allocator enable_htp_spill_fill_buffer"),
        (FLAG, "enable_vtcm_backup_buffer_sharing enable_htp_monolithic_lstm enable_htp_graph_splitting"),
    ),
    "OpenVINOExecutionProvider": _table(
        (_properties, "load_config"),
        (_matching("(CPU|GPU|NPU)([.][0-9]{1,2})?"), "device_type"),
        (_matching("FP32|FP16|ACCURACY"), "precision"),
        (NUMBER, "num_of_threads num_streams"),
        (FLAG, "enable_opencl_throttling enable_qdq_optimizer disable_dynamic_shapes"),
        (_matching("LOW|MEDIUM|HIGH|DEFAULT"), "model_priority"),
    ),
    "WebGpuExecutionProvider": _table(
        (_matching("NCHW|NHWC"), "preferredLayout"),
        (FLAG, "enableGraphCapture enableInt64 enableRobustness preserveDevice"),
        (_matching("D3D12|Vulkan|Metal"), "dawnBackendType"),
        (_matching("high-performance|low-power"), "powerPreference"),
        (_matching("disabled|wgpuOnly|basic|full"), "validationMode"),
        (_matching("disabled|lazyRelease|simple|bucket"), "storageBufferCacheMode uniformBufferCacheMode"),
    ),
    "CoreMLExecutionProvider": _table(
        (_matching("ALL|CPUOnly|CPUAndGPU|CPUAndNeuralEngine"), "MLComputeUnits"),
        (_matching("MLProgram|NeuralNetwork"), "ModelFormat"),
        (FLAG, "RequireStaticInputShapes EnableOnSubgraphs AllowLowPrecisionAccumulationOnGPU"),
        (_matching("Default|FastPrediction"), "SpecializationStrategy"),
    ),
    "XnnpackExecutionProvider": _table((NUMBER, "intra_op_num_threads")),
    "DmlExecutionProvider": _table(
        (NUMBER, "device_id"),
        (_matching("default|high_performance|minimum_power"), "performance_preference"),
        (_matching("gpu|npu|any"), "device_filter"),
    ),
    "ROCMExecutionProvider": _table((NUMBER, "device_id gpu_mem_limit"), (FLAG, "tunable_op_enable")),
    "MIGraphXExecutionProvider": _table(
        (NUMBER, "device_id"), (FLAG, "migraphx_fp16_enable migraphx_int8_enable migraphx_exhaustive_tune")
    ),
}
# Where a plugin takes less than the provider of the same name that is built in: it warns that it ignores the rest.
OF_PLUGINS: Dict[str, Dict[str, Check]] = {
    "OpenVINOExecutionProvider": _table((_properties, "load_config"), (FLAG, "disable_dynamic_shapes")),
}


def check_options(provider: str, options: Mapping[str, str], *, is_plugin: bool = False) -> None:
    """Refuse options that could bring in bytes that the digest does not cover, or that would be ignored.

    Raises:
        ValueError: an option that is not known to be harmless, or a value that it does not have.
    """
    if not options:
        return
    known = OF_PLUGINS.get(provider, OPTIONS.get(provider)) if is_plugin else OPTIONS.get(provider)
    if known is None:
        raise ValueError(f"no option of {provider} is known to be limited to the model file: leave them out")
    for name, value in options.items():
        if name not in known:
            listed: List[str] = sorted(known)
            raise ValueError(
                f"option '{name}' of {provider} is not known to be limited to the model file: it may read, write or "
                f"load others, or be ignored; known are {', '.join(listed) or 'none'}"
            )
        if not known[name](value):
            raise ValueError(f"option '{name}' of {provider} is '{value}', which it does not take")
