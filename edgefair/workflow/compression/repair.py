"""Which compression is shipped: the recipe, or what the repair finds where a gate fails on validation rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgefair._version import __version__
from edgefair.compress.low_precision import LowPrecision
from edgefair.compress.search.choice import Choice
from edgefair.compress.search.search import FREE, Moves, Repair, repair
from edgefair.config import Config
from edgefair.files import sha256_file, sha256_json, shown
from edgefair.progress import timed
from edgefair.versions import versions_of
from edgefair.workflow.clock import today
from edgefair.workflow.compression.candidates import Candidates
from edgefair.workflow.compression.recipes import recipe_of
from edgefair.workflow.compression.steps import teacher_digest
from edgefair.workflow.compression.trials import ValidationBench
from edgefair.workflow.measurement.fleet import load_fleet

NO_ROWS = "the recipe was judged without repair: a repair needs both training and validation rows"
FOLDER, LOG = "repair", "trials.jsonl"


@timed("choosing the compression")
def chosen(candidates: Candidates, work: Path) -> tuple[Choice, dict[str, Any], tuple[str, ...]]:
    """The choice to ship; how it was found, for the manifest; and notes.

    Every trial is logged with its verdicts below the folder of the runs. An interrupted search goes on with the trial
    at which it stopped.

    Args:
        work: a folder for files that nobody needs afterwards.
    """
    config = candidates.job.config
    start = Choice(config.compress.prune, config.compress.calibration)
    if not candidates.repairs:
        return start, {}, (NO_ROWS,) if config.compress.repair.enabled else ()
    moves = moves_of(config, candidates.kind, corrects_bias=candidates.corrects_bias, refits=candidates.refits)
    log = config.base / config.runs / FOLDER / _digest(config, candidates)[:16] / LOG
    bench = ValidationBench(candidates, log, work, recipe=start)
    found = repair(start, moves, bench, lowered=candidates.kind is not None, reference_passes=bench.reference_passes)
    return found.chosen.choice, {"repair": _record(found, log, config)}, _notes(found, start)


def moves_of(config: Config, kind: type[LowPrecision] | None, *, corrects_bias: bool, refits: bool) -> Moves:
    """What the repair may do: what the config allows, but for what the low precision does not know, and treatments that
    its own leave no room for.

    Args:
        kind: which low precision the file gets.
        corrects_bias: whether the graph ends in a layer whose bias can be corrected.
        refits: whether it has scores, of which another threshold decides otherwise.
    """
    settings, treated = config.compress.repair, {item.method for item in config.debias.post}
    undoing = {"last-layer", "operating-point"} if "threshold" in treated else set()
    unknown = FREE - (frozenset() if kind is None else kind.free)
    impossible = treated | undoing | unknown
    impossible |= (set() if corrects_bias else {"bias"}) | (set() if refits else {"operating-point", "threshold"})
    return Moves(
        allowed=frozenset(settings.moves) - impossible,
        calibrations=tuple(name for name in settings.calibrations if name != config.compress.calibration),
        trials=settings.max_trials,
        ladder=() if kind is None or "calibration" not in kind.free else config.compress.rungs,
    )


def _digest(config: Config, candidates: Candidates) -> str:
    """Of everything that a trial depends on, but for the devices themselves."""
    data = candidates.job.data
    compress = config.compress
    recipes = (compress.calibration, *compress.rungs, *compress.repair.calibrations)
    packages = ("onnx", "onnxruntime", *(("torch",) if config.compress.trains else ()))
    return sha256_json(
        {
            "dense": sha256_file(candidates.reference.path),
            "teacher": teacher_digest(config, config.compress.distill),
            "config": config.model_dump(mode="json", exclude={"output", "project", "runs"}),
            "recipes": [recipe_of(config, name).model_dump(mode="json") for name in recipes],
            "targets": [profile.model_dump(mode="json") for profile in load_fleet(config.targets)],
            "rows": [data.train.fingerprint, data.validation.fingerprint],
            "versions": {"edgefair": __version__, **versions_of(packages)},
            # A waiver ends on its day.
            "today": str(today()) if config.policy.waivers else None,
        }
    )


def _record(found: Repair, log: Path, config: Config) -> dict[str, Any]:
    return {
        "chosen": found.chosen.to_json(),
        "ended": found.ended,
        "trials": [trial.to_json() for trial in found.trials],
        "log": shown(log, config.base),
    }


def _notes(found: Repair, start: Choice) -> tuple[str, ...]:
    if found.chosen.choice == start and found.chosen.kept:
        return ()
    choice = found.chosen.choice
    changes = {
        f"pruned by {choice.prune} instead of {start.prune}": choice.prune != start.prune,
        f"calibrated as {choice.calibration} instead of {start.calibration}": choice.calibration != start.calibration,
        f"7-bit weights in {', '.join(choice.seven_bit)}": bool(choice.seven_bit),
        f"unsigned weights in {', '.join(choice.unsigned)}": bool(choice.unsigned),
        "the last layer's bias corrected": choice.correct_bias,
        f"in float: {', '.join(sorted(choice.float_nodes))}": bool(choice.float_nodes),
        f"treated with {' and '.join(choice.post)}": bool(choice.post),
    }
    said = "; ".join(text for text, made in changes.items() if made) or "the recipe unchanged"
    kept = "passes every gate on validation rows" if found.chosen.kept else "comes closest on validation rows"
    return (f"repair, {len(found.trials)} trials: {found.ended}. What {kept}: {said}",)
