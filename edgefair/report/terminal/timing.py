"""A device and what its clock and its meter showed, as a person reads it in a terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from edgefair.measure.footprint import Footprint
from edgefair.measure.latency import LatencySummary
from edgefair.probe.runtimes import NAMES
from edgefair.report.pool import MOST, PoolLine, left_out, pool_lines
from edgefair.report.results.verification import TargetResult
from edgefair.targets.runtimes import DEFAULT, host_runtime

INDENT = "        "
USUAL = ["CPUExecutionProvider"]


def device_line(device: Mapping[str, Any]) -> str:
    """The processor, what ran the model on it with its version and settings, and the image of a container."""
    if not device:
        return "no device was asked"
    on = device.get("runs_on")
    runtime, engine = on if on in NAMES else DEFAULT, device.get("engine", {})
    parts = [
        f"{device.get('cpu', device.get('machine', '?'))}, {runtime} {device.get(runtime, '?')}",
        *_settings(device.get("session", {}), told=engine),
        *(str(engine[key]) for key in host_runtime(runtime).engine_shown if engine.get(key)),
        *_providers(engine),
    ]
    text = ", ".join(part for part in parts if part)
    box = device.get("container")
    return text if box is None else f"{text}, in {box['engine']} image {box['image']} ({box['id'][:19]})"


def _settings(session: Mapping[str, Any], *, told: Mapping[str, Any]) -> list[str]:
    """What the profile sets otherwise than usual, but what the device tells of: the device's loader sets it too."""
    plugins = session.get("provider_settings", {}).values()
    named = session.get("providers", USUAL) != USUAL and not told.get("providers")
    return [
        " then ".join(session["providers"]) if named else "",
        f"optimization {session['optimization']}" if session.get("optimization", "all") != "all" else "",
        *(text for own in plugins for key, value in own.get("options", {}).items() for text in _option(key, value)),
        f"batch {session['batch']}" if session.get("batch") else "",
        *(f"{key}={value}" for key, value in session.get("config", {}).items() if not told.get(key)),
        f"{session['threads']} threads" if session.get("threads", 1) != 1 else "",
    ]


def _option(key: str, value: str) -> list[str]:
    """An option of a provider; one that holds JSON by the settings in it, each after the device that it is of."""
    try:
        held = json.loads(value) if value.startswith("{") else None
    except ValueError:
        held = None
    if not isinstance(held, dict):
        return [f"{key}={value}"]
    parts = {name: own if isinstance(own, dict) else {"": own} for name, own in held.items()}
    return [f"{name} {inner}".rstrip() + f"={said}" for name, own in parts.items() for inner, said in own.items()]


def _providers(engine: Mapping[str, Any]) -> list[str]:
    """How much of the graph ran on which provider of onnxruntime's, other than the CPU's, and of which version."""
    nodes = engine.get("nodes", {})
    every = sum(nodes.values())
    return [
        (f"{nodes.get(name, 0)} of {every} nodes on {name}" if every else name)
        + f" ({facts.get('package') or facts.get('version') or 'onnxruntime ' + facts.get('onnxruntime', '?')})"
        for name, facts in engine.get("providers", {}).items()
    ]


def latency_lines(target: TargetResult) -> list[str]:
    """Latency of candidate and reference, the cores that it was measured on, and the energy of a query."""
    pool = pool_lines(target)
    if target.latency is None:
        return ["latency not measured", *_pool(pool)]
    lines = [
        f"latency {_percentiles(target.latency)}; {_queries(target.latency)}, batch 1, "
        f"{_cores(target.device.get('pinned'))}"
    ]
    if target.reference_latency is not None and target.speed_up is not None:
        speed = target.speed_up
        lines.append(
            f"{INDENT}reference {_percentiles(target.reference_latency)}: "
            f"{speed.ratio:.2f}x as fast as the reference [{speed.lower:.2f}, {speed.upper:.2f}]"
        )
    energy = target.device.get("energy")
    return [*lines, *([] if energy is None else _energy(energy)), *_footprint(target), *_pool(pool)]


def _pool(devices: Sequence[PoolLine]) -> list[str]:
    """What each device of a pool decided and how fast it is, as many as fit on a screen."""
    if not devices:
        return []
    timed = any(item.latency is not None for item in devices)
    lines = [f"pool    {len(devices)} devices" + "; what is said of the clock above is of the slowest" * timed]
    for item in devices[:MOST]:
        parts = [f"{item.rows:,} rows"]
        if item.latency is not None:
            parts.append(f"latency {_percentiles(item.latency)}")
        remarks = f"; {item.remarks}" if timed and item.remarks else ""
        lines.append(f"{INDENT}{item.name}: {', '.join(parts)}{remarks}")
    left = left_out(devices)
    return [*lines, *([f"{INDENT}and {left}; --json has all of them"] if left else [])]


def _footprint(target: TargetResult) -> list[str]:
    """What loading the model takes."""
    told = target.evidence.get("footprint")
    if told is None:
        return []
    found = Footprint.from_json(told)
    line = f"loading {found.median_load_ms:.4g} ms (median of {len(found.load_ms)} loads)"
    peak = "" if found.peak_bytes is None else f"; memory {found.peak_bytes / 1e6:,.1f} MB at its peak"
    return [line + peak]


def _queries(latency: LatencySummary) -> str:
    """How many there were, and how many independent ones would tell as much."""
    text, told = f"{latency.queries:,} queries", latency.effective_queries
    return text if told is None else f"{text} (as many as {told:,} independent)"


def _cores(pinned: list[int] | None) -> str:
    if not pinned:
        return "not pinned"
    return f"pinned to cpu {', '.join(str(core) for core in pinned)}"


def _energy(energy: Mapping[str, Any]) -> list[str]:
    of = energy["mj_per_query"]
    text = f"energy  {of['candidate']:.3g} mJ a query"
    if "reference" in of:
        text += f", the reference {of['reference']:.3g} mJ"
    return [text, f"{INDENT}of {energy['covers']} ({energy['source']})"]


def _percentiles(latency: LatencySummary) -> str:
    values = (("p50", latency.p50_ms), ("p90", latency.p90_ms), ("p99", latency.p99_ms))
    return " ".join(f"{name} {'?' if value is None else f'{value:.4f} ms'}" for name, value in values)
