"""Texts that are longer than a model reads."""

from __future__ import annotations

from edgefair.data.rows import TableRows
from edgefair.data.texts import Texts
from edgefair.probe.onnx_files.spec import ModelSpec


def cut_notes(rows: TableRows, spec: ModelSpec) -> tuple[str, ...]:
    """How many texts are longer than the model takes, and in which group most."""
    tokens = next((item.tokens for item in spec.inputs if item.tokens is not None), None)
    column = None if tokens is None else rows.table.columns[tokens.column]
    if tokens is None or not isinstance(column, Texts):
        return ()
    cut = column.longer_than(tokens.length)
    if not cut.any():
        return ()
    shares = {
        (name, value): float(cut[values.codes == code].mean())
        for name, values in rows.sensitive.items()
        for code, value in enumerate(values.values)
        if value in values.present
    }
    (attribute, group), share = max(shares.items(), key=lambda item: item[1])
    return (
        f"{int(cut.sum()):,} of {len(cut):,} audit texts are longer than the model's {tokens.length} tokens and "
        f"were truncated; most of the rows with {attribute} = {group} ({share:.1%})",
    )
