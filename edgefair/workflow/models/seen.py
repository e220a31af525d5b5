"""Whether the audit rows are new to a model, and are as many people as they seem."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edgefair.bundle.manifest import SEEN_ROWS, Bundle
from edgefair.config import Config
from edgefair.data.dataset import DataSet
from edgefair.data.identity.equal_rows import check_equal_rows
from edgefair.data.identity.overlap import check_overlap
from edgefair.data.identity.seen import SeenRows, columns_of, distinct, read_seen
from edgefair.errors import ModelError
from edgefair.probe.onnx_files.spec import ModelSpec
from edgefair.probe.onnx_files.spec_check import spec_from_json
from edgefair.workflow.models.runs import choose_run

UNKNOWN = (
    "which rows trained this model is unknown beyond the training rows of this config: the audit rows were "
    "compared with those only"
)
NONE_KNOWN = (
    "which rows trained this model is unknown, and this config has no training rows to compare the audit rows with"
)


@dataclass(frozen=True, eq=False)
class Seen:
    """What is known of the rows that a model has seen.

    Attributes:
        columns: the features that it sees.
        parts: rows that it has seen, by where they are known from.
        notes: what is not known.
    """

    columns: tuple[str, ...]
    parts: tuple[SeenRows, ...]
    notes: tuple[str, ...]

    @classmethod
    def by_config(cls, data: DataSet, spec: ModelSpec) -> Seen:
        """By a model that was there already: the config's training and validation rows, and perhaps others."""
        return cls.by_columns(data, columns_of(spec))

    @classmethod
    def by_columns(cls, data: DataSet, columns: tuple[str, ...]) -> Seen:
        """As `by_config`, by the features that the model sees, or may see."""
        known = len(data.train) + len(data.validation)
        parts = (SeenRows.of([data.train, data.validation], columns),)
        return cls(columns, parts, (UNKNOWN if known else NONE_KNOWN,))

    @classmethod
    def by_run(cls, config: Config, data: DataSet, spec: ModelSpec, name: str | None) -> Seen:
        """By what is exported: also the rows of the run and of its teacher.

        Args:
            name: of the run; None for a model that was there already.

        Raises:
            ModelError: a run's file of seen rows cannot be read.
        """
        own = cls.by_config(data, spec)
        if name is None:
            return own
        from edgefair.training.run import load_run

        distill = config.compress.distill
        runs = [name, *([] if distill is None else [choose_run(config, distill.teacher)])]
        known = [part for run in runs for part in load_run(config.run_path(run)).seen]
        return replace(own, parts=(*own.parts, *known), notes=())

    @classmethod
    def by_bundle(cls, bundle: Bundle, data: DataSet) -> Seen:
        """By the model of a bundle: the rows that it brings along, and the config's.

        Raises:
            ModelError: the bundle's files cannot be read, or are not of one model.
        """
        own = cls.by_config(data, bundle_spec(bundle))
        trained: tuple[str, ...] = () if "run" in bundle.manifest.settings else own.notes
        if bundle.seen_rows is None:
            return replace(own, notes=(f"'{SEEN_ROWS}' is not in the bundle: {UNKNOWN}",))
        brought = read_seen(bundle.seen_rows)
        if brought[0].columns != own.columns:
            raise ModelError(
                f"'{bundle.seen_rows}' belongs to a model that sees {', '.join(brought[0].columns)}",
                expected=f"the features of '{bundle.model}': {', '.join(own.columns)}",
                fix="export the bundle again",
            )
        return replace(own, parts=(*own.parts, *brought), notes=trained)


def bundle_spec(bundle: Bundle) -> ModelSpec:
    """What the model of a bundle sees.

    Raises:
        ModelError: its spec cannot be read.
    """
    try:
        return spec_from_json(bundle.spec.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"'{bundle.spec}' cannot be read: {error}", fix="export the bundle again") from error


def check_rows(config: Config, data: DataSet, seen: Seen) -> tuple[str, ...]:
    """What a reader of the verdict must know of the audit rows.

    Raises:
        DataError: audit rows that the model has seen, or that are counted several times.
    """
    shared = dict.fromkeys(check_overlap(part, data.audit).note for part in distinct(seen.parts))
    equal = check_equal_rows(
        data.audit,
        features=seen.columns,
        attributes=config.policy.base_attributes,
        label=config.data.label,
        classes=data.classes,
        rule=config.data.equal_rows,
    )
    copies = data.shares["copies_left_out"]
    left_out = f"{copies:,} audit rows are copies of others (data.equal_rows: once) and were dropped"
    notes = [*shared, equal.note, left_out if copies else None]
    return (*(note for note in notes if note is not None), *seen.notes)


def notes_of(config: Config, data: DataSet, seen: Seen) -> tuple[str, ...]:
    """What a reader of the verdict must know of the rows.

    Raises:
        DataError: audit rows that the model has seen, or that are counted several times.
    """
    return (*check_rows(config, data, seen), *(f"left out: {item}" for item in data.skipped), *data.poorer)
