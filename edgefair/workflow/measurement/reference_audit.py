"""The audit of a reference: made of a measurement, and refused where it does not fit the next one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgefair._version import __version__
from edgefair.bundle.reference_audit import POPULATION, AuditOnDevice, ReferenceAudit, load_reference_audit
from edgefair.config import Config
from edgefair.decision.reference.audited import ALONE, AUDIT_AGAIN
from edgefair.decision.reference.joined import OF_REFERENCE
from edgefair.errors import DataError, PolicyError, UsageError
from edgefair.files import as_path, shown_in
from edgefair.measure.counts import GroupCounts
from edgefair.measure.design import Design
from edgefair.workflow.measurement.design import design_of
from edgefair.workflow.measurement.records.record import Record, TargetRecord


@dataclass(frozen=True)
class ReferenceAudits:
    """What a verdict has to do with audits of references.

    Attributes:
        joined: the one that it rests on.
        write_to: where the judged model's own becomes a file, for models compressed from it.
    """

    joined: ReferenceAudit | None = None
    write_to: Path | None = None

    def check_reference(self, reference: str, classes: Sequence[str]) -> None:
        """Before anything is compressed: refuse the audit of another model, or of other classes (DataError).

        Args:
            reference: sha256 of its file.
        """
        if self.joined is not None:
            check_reference(self.joined, reference, classes)


NO_AUDITS = ReferenceAudits()


def asked_for(
    config: Config, path: str | Path | None, public_key: str | Path | None, write_to: str | Path | None = None
) -> ReferenceAudits:
    """Read the audit, if one is to be joined, and refuse what does not fit the config.

    Raises:
        UsageError: a key and no audit, or a key that cannot be read.
        DataError, PolicyError: see `load_reference_audit` and `check_config`.
    """
    path, public_key, write_to = as_path(path), as_path(public_key), as_path(write_to)
    if write_to is not None and config.policy.audit == "sealed":
        raise UsageError(
            "the audit of a reference holds the counts of its rows, and policy.audit is sealed",
            expected="rows of its own, that are judged with policy.audit: open",
        )
    if config.data.label_design is not None and (path is not None or write_to is not None):
        raise _designed()
    if path is None:
        if public_key is not None:
            raise UsageError("--reference-audit-key without --reference-audit", fix="pass the file that it signed")
        return ReferenceAudits(write_to=write_to)
    audit = load_reference_audit(path, public_key)
    check_config(audit, config)
    return ReferenceAudits(audit, write_to)


def _designed() -> UsageError:
    return UsageError(
        "the audit of a reference with data.label_design",
        expected="one of them: the counts of a reference are of rows that all have labels",
    )


def check_config(audit: ReferenceAudit, config: Config) -> None:
    """Refuse an audit of another population, other labels, or other groups than this config judges.

    Raises:
        DataError: the data section says another population, or what label and groups are.
        PolicyError: groups that are declared otherwise, or people counted where rows are.
    """
    check_population(audit, shown_in(config.data.model_dump(mode="json"), config.base))
    policy = config.policy
    for name in policy.attributes:
        found, groups = audit.groups.get(name), list(policy.group_names(name))
        if found != groups:
            said = "does not judge it" if found is None else f"has the groups {', '.join(found)}"
            raise PolicyError(
                f"policy.attributes.{name}: the reference audit {said}", expected=", ".join(groups), fix=AUDIT_AGAIN
            )
    if config.data.subject is not None and audit.subject_weights != policy.subject_weights:
        raise PolicyError(
            f"the reference audit counts {audit.subject_weights}",
            expected=f"{policy.subject_weights} (policy.subject_weights)",
            fix=AUDIT_AGAIN,
        )


def check_population(audit: ReferenceAudit, section: Mapping[str, Any]) -> None:
    """Refuse an audit of another population, or with other labels, than a `data:` section says (DataError)."""
    for key in POPULATION:
        if audit.data.get(key) != section.get(key):
            raise DataError(
                f"the reference audit was made with data.{key}: {audit.data.get(key)}",
                expected=f"data.{key}: {section.get(key)}",
                fix=AUDIT_AGAIN,
            )


def check_models(audit: ReferenceAudit, model: str, reference: str | None, classes: Sequence[str]) -> None:
    """Refuse a candidate that nothing was compressed in, or that no reference is measured beside.

    Args:
        model, reference: sha256 of the two files; None without a reference.

    Raises:
        UsageError: no reference, or the audited model itself.
        DataError: the audit of another model, or of other classes.
    """
    if model in {reference, audit.model["sha256"]}:
        raise UsageError(
            "the model is the audited reference itself: nothing was compressed, and nothing is to be joined", fix=ALONE
        )
    if reference is None:
        raise UsageError(
            "--reference-audit, and no model before compression to be run on the same rows",
            fix="pass the audited model with --reference",
        )
    check_reference(audit, reference, classes)


def check_reference(audit: ReferenceAudit, reference: str, classes: Sequence[str]) -> None:
    """Refuse the audit of another model than the reference that is to be measured beside the candidate.

    Args:
        reference: sha256 of its file.

    Raises:
        DataError: the audit of another model, or of other classes.
    """
    said = audit.model["sha256"]
    if reference != said:
        raise DataError(
            f"the reference has sha256 {reference[:16]}; the audit is that of {said[:16]}, '{audit.model['path']}'",
            expected="the audit of this very file",
            fix=AUDIT_AGAIN,
        )
    found = audit.devices[0].counts.classes
    if tuple(classes) != found:
        raise DataError(
            f"the reference audit has the classes {', '.join(found)}", expected=", ".join(classes), fix=AUDIT_AGAIN
        )


def check_recorded(audits: ReferenceAudits, record: Record) -> None:
    """Refuse audits that do not fit a record, whatever the config says by now.

    Raises:
        UsageError: its rows were chosen by a label design.
        DataError, UsageError: see `check_population` and `check_models`.
    """
    audit = audits.joined
    if record.rows.stratum is not None and audits != NO_AUDITS:
        raise _designed()
    if audit is None:
        return
    check_population(audit, record.data.section)
    for target in record.targets:
        before = None if target.reference is None else target.reference.sha256
        check_models(audit, record.judged, before, record.rows.classes)


def made_of(config: Config, record: Record) -> ReferenceAudit:
    """The audit of the model that a record is about."""
    policy, rows = config.policy, record.rows
    return ReferenceAudit(
        created=record.created,
        version=__version__,
        model=asdict(record.targets[0].model),
        rows=asdict(rows.audit),
        data=dict(record.data.section),
        groups={name: list(policy.group_names(name)) for name in policy.attributes},
        subject_weights=policy.subject_weights,
        devices=tuple(_on_device(config, record, target) for target in record.targets),
    )


def note_of(audit: ReferenceAudit, level: float, rows: int) -> str:
    """What a reader of the verdict must know.

    Args:
        level: error probability that the verdict may spend.
    """
    signed = f"signed by key {audit.key[:16]}" if audit.key else "its signature was not asked for"
    return (
        f"the equalized-odds gap is that of the reference as it was audited ({audit.rows['rows']:,} rows of "
        f"'{audit.rows['source']}', {audit.created[:10]}, sha256 {audit.digest[:16]}, {signed}) with what compression "
        f"changed on these {rows:,} rows; of alpha {level:g} the limits of the former may spend {OF_REFERENCE:.0%}"
    )


def _on_device(config: Config, record: Record, target: TargetRecord) -> AuditOnDevice:
    policy, rows = config.policy, record.rows
    attributes = {name: rows.sensitive[name] for name in policy.base_attributes}
    every: dict[str, Any] = {"label": rows.label, "decision": target.decision}
    found = design_of(
        policy, subject=rows.subject, sensitive=rows.sensitive, reference=None, classes=len(rows.classes), **every
    )
    counts = GroupCounts.from_rows(attributes, classes=rows.classes, **every)
    design = None if found is None else Design(rates=found.rates, counted=found.counted)
    return AuditOnDevice(target.target, target.device, counts, design)
