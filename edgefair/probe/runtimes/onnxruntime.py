"""Sessions of onnxruntime's that read the model's bytes and nothing else, with exactly the settings that they get."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Tuple

from edgefair.probe.errors import ProbeError, error_kind, first_line
from edgefair.probe.formats.base import FileFormat
from edgefair.probe.formats.onnx import FORMAT as ONNX

# Session entries that change how a graph is computed and where its threads run, and that read, write and load no file.
# https://github.com/microsoft/onnxruntime/blob/main/include/onnxruntime/core/session/onnxruntime_session_options_config_keys.h
ENTRIES = frozenset(
    ["session." + name for name in (
        "allow_released_opsets_only", "disable_aot_function_inlining", "disable_cpu_ep_fallback",
        "disable_double_qdq_remover", "disable_prepacking", "disable_qdq_constant_folding", "disable_quant_qdq",
        "dynamic_block_base", "enable_dq_matmulnbits_fusion", "enable_quant_qdq_cleanup", "force_spinning_stop",
        "graph_optimizations_loop_level", "inter_op.allow_spinning", "intra_op.allow_spinning",
        "intra_op.spin_backoff_max", "intra_op.spin_duration_us", "intra_op_thread_affinities",
        "qdq_matmulnbits_accuracy_level", "qdq_matmulnbits_block_size", "qdqisint8allowed", "set_denormal_as_zero",
        "strict_shape_type_inference", "use_device_allocator_for_initializers", "use_deterministic_compute",
        "x64quantprecision",
    )]
    + ["optimization." + name for name in (
        "disable_specified_optimizers", "enable_cast_chain_elimination", "enable_gelu_approximation",
    )]
    + ["mlas." + name for name in (
        "disable_kleidiai", "enable_gemm_fastmath_arm64_bfloat16", "qnbit.force_fp32", "use_lut_gemm",
    )]
)  # fmt: skip
# A folder in which no file can be, for weights outside of the model, and the one format that
# `probe.onnx_files.external` reads. Before 1.22 onnxruntime does not look at the folder, and what that module finds
# is all there is.
WALLS = {
    "session.model_external_initializers_file_folder_path": "/dev/null",
    "session.load_model_format": "ONNX",
}
# The package whose build of onnxruntime has a provider, from https://onnxruntime.ai/docs/execution-providers/
BUILDS = {
    "CUDAExecutionProvider": "onnxruntime-gpu",
    "TensorrtExecutionProvider": "onnxruntime-gpu",
    "DmlExecutionProvider": "onnxruntime-directml",
    "MIGraphXExecutionProvider": "onnxruntime-migraphx",
    "OpenVINOExecutionProvider": "onnxruntime-openvino",
    "QNNExecutionProvider": "onnxruntime-qnn",
    "ROCMExecutionProvider": "onnxruntime-rocm",
}
LEVELS = {"disable": "DISABLE_ALL", "basic": "ENABLE_BASIC", "extended": "ENABLE_EXTENDED", "all": "ENABLE_ALL"}


def check_entries(config: Mapping[str, str]) -> None:
    """Refuse session entries that could bring in bytes that the model's digest does not cover.

    Raises:
        ValueError: an entry that is not known to be harmless.
    """
    unknown = sorted(set(config) - ENTRIES)
    if unknown:
        raise ValueError(
            f"session entry '{unknown[0]}' is not known to be limited to the model file and the profile's other "
            "settings: "
            f"known are {', '.join(sorted(ENTRIES))}"
        )


def _build_with(provider: str) -> str:
    """What to install for a provider: a package where one is known to have it."""
    if provider == "CoreMLExecutionProvider":
        return "onnxruntime on macOS, whose package has it"
    package = BUILDS.get(provider)
    return "a build that has it" + ("" if package is None else f" ({package})")


class OnnxRuntime:
    """onnxruntime with the execution providers of a profile. See `probe.runtimes.base.Runtime`."""

    format: FileFormat = ONNX

    def facts(self) -> Dict[str, Any]:
        """Its version, and the providers that it has."""
        try:
            import onnxruntime
        except ImportError:
            return {}
        return {"onnxruntime": onnxruntime.__version__, "providers": onnxruntime.get_available_providers()}

    def open(self, content: bytes, options: Mapping[str, Any]) -> Tuple[Any, Dict[str, Any]]:
        """A session on exactly the providers that were asked for: onnxruntime only warns about absent ones.

        Raises:
            ProbeError: an entry that is not allowed, a provider that is not there, or a model that cannot be loaded.
        """
        import onnxruntime

        try:
            check_entries(options["config"])
        except ValueError as error:
            raise ProbeError("bad_request", str(error)) from error
        providers, available = list(options["providers"]), onnxruntime.get_available_providers()
        absent = [name for name in providers if name not in available]
        if absent:
            raise ProbeError(
                "no_runtime",
                f"onnxruntime {onnxruntime.__version__} on the device has no {', '.join(absent)}, only "
                f"{', '.join(available)}: install {_build_with(absent[0])}, or change `providers` in the profile",
            )
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = int(options["threads"])
        settings.inter_op_num_threads = 1
        settings.log_severity_level = 3
        level = f"ORT_{LEVELS[options['optimization']]}"
        settings.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
        for key, value in {**options["config"], **WALLS}.items():
            settings.add_session_config_entry(key, value)
        try:
            session = onnxruntime.InferenceSession(content, settings, providers=providers)
        except Exception as error:
            raise ProbeError(error_kind(error, "invalid_graph"), first_line(error)) from error
        dropped = [name for name in providers if name not in session.get_providers()]
        if dropped:
            raise ProbeError(
                "no_runtime",
                f"onnxruntime could not start {', '.join(dropped)} and fell back to "
                f"{', '.join(session.get_providers())}: its libraries (CUDA, cuDNN, TensorRT) are missing or of "
                "another version than this build of onnxruntime needs",
            )
        return session, {}


RUNTIME = OnnxRuntime()
