"""Sessions of onnxruntime's that read the model's bytes and nothing else, with exactly the settings that they get."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping, Sequence, Set, Tuple

from edgefair.probe.errors import ProbeError, error_kind, first_line
from edgefair.probe.formats.base import FileFormat
from edgefair.probe.formats.onnx import FORMAT as ONNX
from edgefair.probe.onnx_files.onnx_file import batch_names
from edgefair.probe.runtimes.cuda import driver_facts
from edgefair.probe.runtimes.providers.advice import advice
from edgefair.probe.runtimes.providers.placement import RECORD, check_placement, nodes_by_provider
from edgefair.probe.runtimes.providers.plugins import add_plugin
from edgefair.probe.runtimes.providers.settings import CPU, Provider, providers_of

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
    "session.model_external_initializers_file_folder_path": os.devnull,
    "session.load_model_format": "ONNX",
}
# Providers that run on the driver of NVIDIA's.
ON_CUDA = ("CUDAExecutionProvider", "TensorrtExecutionProvider", "NvTensorRTRTXExecutionProvider")
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


class OnnxRuntime:
    """onnxruntime with the execution providers of a profile. See `probe.runtimes.base.Runtime`."""

    format: FileFormat = ONNX
    levels: Sequence[str] = tuple(LEVELS)
    opens_bundles: bool = True

    def facts(self) -> Dict[str, Any]:
        """Its version, and the providers that it has."""
        try:
            import onnxruntime
        except ImportError:
            return {}
        return {"onnxruntime": onnxruntime.__version__, "providers": onnxruntime.get_available_providers()}

    def open(self, content: bytes, options: Mapping[str, Any]) -> Tuple[Any, Dict[str, Any]]:
        """A session on exactly the providers that were asked for: onnxruntime only warns about others.

        Beside the usual options: provider_settings (see `providers_of`), and batch (1 where the first size of every
        input is to be fixed, for providers that compile sizes). Of providers other than the CPU's it says
        `providers` (version, library and device of each) and `nodes` (how many each took).

        Raises:
            ProbeError: an entry or an option that is not allowed, a provider that is not there or does not start, a
                graph that ran elsewhere, or a model that cannot be loaded.
        """
        import onnxruntime

        try:
            check_entries(options["config"])
            providers = providers_of(options)
        except ValueError as error:
            raise ProbeError("bad_request", str(error)) from error
        _check_built_in(providers)
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = int(options["threads"])
        settings.inter_op_num_threads = 1
        settings.log_severity_level = 3
        if "profile" in options:
            settings.enable_profiling, settings.profile_file_prefix = True, options["profile"]
        level = f"ORT_{LEVELS[options['optimization']]}"
        settings.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
        for key, value in {**options["config"], **WALLS}.items():
            settings.add_session_config_entry(key, value)
        if options.get("batch") is not None:
            for axis in _batch_axes(content):
                settings.add_free_dimension_override_by_name(axis, int(options["batch"]))
        others = [provider for provider in providers if provider.name != CPU]
        if others:
            settings.add_session_config_entry(*RECORD)
        about = {provider.name: _about(settings, provider) for provider in others}
        session = _session(content, settings, providers)
        dropped = [provider.name for provider in others if provider.name not in session.get_providers()]
        if dropped:
            raise ProbeError(
                "no_runtime",
                f"onnxruntime could not start {', '.join(dropped)} and fell back to "
                f"{', '.join(session.get_providers())}: its libraries (CUDA, cuDNN, TensorRT) are missing or of "
                "another version than this build of onnxruntime needs",
            )
        if not others:
            return session, {}
        nodes = nodes_by_provider(session)
        check_placement(nodes, [provider.name for provider in providers])
        return session, {"providers": about, "nodes": nodes}


RUNTIME = OnnxRuntime()


def _check_built_in(providers: List[Provider]) -> None:
    """onnxruntime only warns about providers that it has not."""
    import onnxruntime

    available = onnxruntime.get_available_providers()
    absent = [item.name for item in providers if not item.settings.is_plugin and item.name not in available]
    if absent:
        raise ProbeError(
            "no_runtime",
            f"onnxruntime {onnxruntime.__version__} on the device has no {', '.join(absent)}, only "
            f"{', '.join(available)}: {advice(absent[0])}, or change `providers` in the profile",
        )


def _about(settings: Any, provider: Provider) -> Dict[str, str]:
    """What a provider is, on which its answers depend; a plugin is added to the session's options by the way."""
    import onnxruntime

    about = {"onnxruntime": str(onnxruntime.__version__)}
    if provider.name in ON_CUDA:
        about.update(driver_facts(int(dict(provider.settings.options).get("device_id", "0"))))
    if provider.settings.is_plugin:
        about.update(add_plugin(settings, provider))
    return about


def _session(content: bytes, settings: Any, providers: List[Provider]) -> Any:
    """A session, or who is to blame that there is none: the model, where the CPU alone cannot load it either."""
    import onnxruntime

    named = [(item.name, dict(item.settings.options)) for item in providers]
    if any(item.settings.is_plugin for item in providers):
        # The options of the session hold the plugins; a list beside them would take their place.
        for item in providers:
            if not item.settings.is_plugin and item.name != CPU:
                settings.add_provider(item.name, dict(item.settings.options))
        named = []
    try:
        return onnxruntime.InferenceSession(content, settings, providers=named)
    except Exception as error:
        kind = error_kind(error, "invalid_graph")
        if kind == "invalid_graph" and any(item.name != CPU for item in providers) and _loads_here(content):
            names = ", ".join(item.name for item in providers)
            raise ProbeError(
                "no_runtime", f"{names} cannot run the model, or refuses its options: {_said(error)}"
            ) from error
        raise ProbeError(kind, first_line(error)) from error


def _loads_here(content: bytes) -> bool:
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    for key, value in WALLS.items():
        settings.add_session_config_entry(key, value)
    try:
        onnxruntime.InferenceSession(content, settings, providers=[CPU])
    except Exception:
        return False
    return True


def _said(error: Exception) -> str:
    """What a provider said, which tells the reason in its last line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(dict.fromkeys([lines[0], lines[-1]])) if lines else type(error).__name__


def _batch_axes(content: bytes) -> Set[str]:
    """Names of the sizes that the file leaves open in front of its inputs.

    Raises:
        ProbeError: one has no name to fix it by.
    """
    try:
        axes = batch_names(content)
    except (ValueError, KeyError, StopIteration) as error:
        raise ProbeError("invalid_graph", f"its inputs cannot be read: {error}") from error
    nameless = [name for name, axis in axes.items() if not axis]
    if nameless:
        raise ProbeError(
            "invalid_graph",
            f"the first size of input '{nameless[0]}' has no name, and this target fixes it by its name: export the "
            "model with a named dynamic axis, or for one row",
        )
    return set(axes.values())
