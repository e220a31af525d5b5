"""The first edgefair.yaml of a project, filled in from its data."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgefair.config import Config, parse_config
from edgefair.data.config import DataConfig
from edgefair.data.dataset import DataSet, load
from edgefair.data.groups import joint_groups
from edgefair.data.presets import BUILT_IN
from edgefair.errors import DataError, UsageError
from edgefair.files import write_atomic
from edgefair.joint import group_name, join
from edgefair.workflow.raw_data.obstacles import too_many_groups
from edgefair.workflow.raw_data.table import Draft, from_table, parted

# Floor of the worst group's balanced accuracy: clearly better than chance, below what a useful model reaches.
FLOOR = 0.7

TEMPLATE = """\
# edgefair: may this compressed model ship? Every key can be overridden by a flag or by --set KEY=VALUE.
# Omitted keys have defaults; `edgefair init --schema` prints them all.
project: {project}
seed: 0

data:
{data}
  validation: 0.1           # share of the training rows that selects; calibration rows are training rows too.
                            # Audit rows decide, and nothing else.

model:
{model}
  threshold: 0.5            # decide the positive class at this probability; part of the exported file

{train}

debias:
  train: []                 # for example [reweigh, eo-penalty]; `edgefair train --debias ...` overrides it, and
                            # `edgefair train --auto` finds a treatment, a budget and a threshold

compress:
  calibration: int8-balanced  # which training rows set the INT8 ranges; a name in calibration/ or a path

targets: [local]            # where the exported file is measured; the worst device decides

policy:
  max_eo_gap: 0.05          # largest equalized-odds gap that may ship
  alpha: 0.05               # PASS claims "every difference is at most max_eo_gap" with confidence 1 - alpha
  min_balanced_accuracy: {floor}  # floor for the worst group: a gap can be closed by making everybody worse
  max_accuracy_drop: 0.02   # against the same model before compression
  attributes:               # every group that may occur; one that is not declared is an error
{attributes}
"""


# How the model is made and trained where the user says nothing, by what it sees.
MODELS = {
    "table": """\
  network: mlp              # or package.module:factory, importable from this folder
  options: {hidden: [128, 64]}""",
    "pictures": """\
  network: resnet-18        # resnet-34, mobilenet-v2, vit-small, convnext-tiny, timm:NAME, package.module:factory
  options: {width: 0.25}    # times the channels of the paper
  picture: {height: SIZE, width: SIZE, mean: 0.5, std: 0.5}  # the one preprocessing: training, host and device""",
    "texts": """\
  network: text-transformer # or package.module:factory
  options: {width: 128, depth: 2, heads: 4}
  text_length: 128          # tokens that the model sees; longer texts are cut, and the report counts them""",
}
TRAIN = {
    "table": "train: {}                   # epochs and batch_rows follow the number of rows unless they are set here",
    "pictures": "train: {epochs: 8, batch_rows: 64, learning_rate: 0.003}",
    "texts": "train: {epochs: 4, batch_rows: 32, learning_rate: 0.001}",
}
PICTURE_SIZE = 64
# Features that a summary names; `edgefair data describe` shows all.
NAMED_FEATURES = 40
ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def write_config(
    path: Path, *, source: str, given: Mapping[str, Any], project: str | None = None, force: bool = False
) -> tuple[str, ...]:
    """Read the data once, and write a config in which every sensitive column is judged, its groups declared.

    Returns what the owner of the data must know of it: what is judged, seen and left out, and the choices.

    Args:
        given: keys of the `data:` section that the user named. `sensitive` may hold intersections (`sex*race`), which
            are judged beside their columns; `split` may be the name of a column; `bin` maps a sensitive column of whole
            numbers to the bounds of its ranges, and becomes `merge`.

    Raises:
        UsageError: the file is there already, or cannot be written.
        DataError: the data does not have what was named, or cannot be used as it is: then all that is in the way.
    """
    if path.exists() and not force:
        raise UsageError(f"'{path}' already exists", fix="edit it, or replace it with --force")
    lacking = [key for key in ("label", "sensitive") if source not in BUILT_IN and not given.get(key)]
    if lacking:
        raise UsageError(
            f"the {lacking[0]} column of '{source}' is not specified",
            fix=f"set it with --{lacking[0]}; for two classes also set --positive",
        )
    name = project or re.sub(r"[^A-Za-z0-9._-]+", "-", Path(source).stem).strip("._-") or "model"
    base = path.parent.resolve()
    keys = {"source": source, **given}
    made = Draft(keys, [])
    if source not in BUILT_IN and keys.get("layout") is None:
        made = from_table(base / source, keys, base=base)
    elif "sensitive" in keys:
        keys["sensitive"], intersections = parted(keys["sensitive"], ())
        made = Draft(keys, intersections)
    keys = made.keys
    sensitive = keys.get("sensitive") or BUILT_IN.get(source, {}).get("sensitive") or ["unnamed"]
    placeholder = {"attributes": {join(sensitive[:1]): {"groups": ["a", "b"]}}}
    draft = parse_config({"project": name, "data": keys, "policy": placeholder}, base=base)
    data = load(draft.data, base=draft.base, roles=["audit"])
    named = {"source": source, "label": draft.data.label, "positive": draft.data.positive}
    groups = _groups(data, draft.data.sensitive, made.intersections)
    text = render_config(
        project=name,
        data={
            **{key: value for key, value in named.items() if value is not None},
            "sensitive": list(draft.data.sensitive),
            **{key: value for key, value in keys.items() if key not in {*named, "sensitive"}},
        },
        remarks=made.remarks,
        groups=groups,
        floor=FLOOR,
        kind="pictures" if draft.data.picture else "texts" if draft.data.text else "table",
        size=PICTURE_SIZE if draft.data.knobs is None else draft.data.knobs.size,
    )
    try:
        write_atomic(path, text.encode())
    except OSError as error:
        raise UsageError(f"'{path}' cannot be written: {error.strerror}") from error
    return (*_said(draft.data, data, [*groups]), *made.remarks)


def _said(config: DataConfig, data: DataSet, judged: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """What is judged, what the model sees, and what it does not."""
    hidden = [*config.exclude, config.id, config.subject, config.split.column]
    left_out = list(dict.fromkeys(name for name in hidden if name is not None))
    more = len(data.features) - NAMED_FEATURES
    seen = ", ".join(data.features[:NAMED_FEATURES]) + (f" and {more:,} others" if more > 0 else "")
    said = [f"judged: {', '.join(map(join, judged))}", f"the model sees: {seen}"]
    return (*said, f"but not: {', '.join(left_out)}") if left_out else tuple(said)


def _groups(
    data: DataSet, sensitive: Sequence[str], intersections: Sequence[tuple[str, ...]]
) -> dict[tuple[str, ...], tuple[str, ...]]:
    """The groups of the audit rows, of every sensitive column and of every intersection.

    Raises:
        DataError: a column of values rather than groups.
    """
    found: dict[tuple[str, ...], tuple[str, ...]] = {}
    for name in sensitive:
        found[name,] = data.audit.sensitive[name].present
        many = too_many_groups(name, found[name,])
        if many is not None:
            raise DataError(many.found)
    for parts in intersections:
        found[parts] = tuple(map(group_name, joint_groups(data.audit.sensitive, parts)[1]))
    return found


def config_schema() -> dict[str, Any]:
    """JSON Schema of edgefair.yaml."""
    schema = Config.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "edgefair.yaml", **schema}


def render_config(
    *,
    project: str,
    data: Mapping[str, Any],
    groups: Mapping[tuple[str, ...], Sequence[str]],
    remarks: Sequence[str] = (),
    floor: float,
    kind: str = "table",
    size: int = PICTURE_SIZE,
) -> str:
    """The text of edgefair.yaml.

    Args:
        project: name of the project.
        data: keys of the `data:` section.
        remarks: of the keys of that section; comments.
        groups: sensitive columns, one or those of an intersection -> their declared groups.
        floor: least balanced accuracy of the worst group.
        kind: what the model sees: `table`, `pictures` or `texts`.
        size: height and width of pictures.
    """
    return TEMPLATE.format(
        project=project,
        data="\n".join(
            [
                *(f"  {key}: {_flow(value)}" for key, value in data.items()),
                *(f"  # {_escaped(text)}" for text in remarks),
            ]
        ),
        attributes="\n".join(
            f"    {_flow(join(parts))}: {{groups: {_flow(list(values))}}}" for parts, values in groups.items()
        ),
        floor=floor,
        model=MODELS[kind].replace("SIZE", str(size)),
        train=TRAIN[kind],
    )


def _flow(value: Any) -> str:
    """A value on one line: JSON is YAML, but for characters that YAML takes for line breaks or does not take at all."""
    return _escaped(json.dumps(value, ensure_ascii=False))


def _escaped(text: str) -> str:
    return ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
