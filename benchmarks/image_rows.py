"""The image rows of `verify_overhead.py`: decoding and inference of picture files, edgefair beside a bare loop.

Both sides read the same JPEG files, decode them with the same function in the same number of threads, and run the same
model file with one thread of onnxruntime on the same batches, interleaved:

- bare: the decoded batches go straight into a session, and the decisions are thrown away;
- edgefair: they go through the probe, are checked, decided, counted by group, and judged.
"""

from __future__ import annotations

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import pyarrow
import pyarrow.csv
from PIL import Image

import edgefair
from edgefair.data.dataset import load
from edgefair.data.files.lazy import cores
from edgefair.data.images.decode import decode
from edgefair.data.images.glyphs import SHAPES, GlyphConfig, draw, glyph_rows
from edgefair.data.rows import TableRows
from edgefair.decision.decide import decide
from edgefair.exporters.torch_module import export_classifier
from edgefair.measure.counts import GroupCounts
from edgefair.probe.onnx_files.reading import read_decisions
from edgefair.probe.onnx_files.spec import ModelSpec
from edgefair.targets import load_profile, open_target
from edgefair.training.build import build_classifier
from edgefair.training.features import spec_for
from edgefair.workflow.measurement.decide_rows import BATCH_ROWS

SIDE = 224
CONFIG = """\
project: pictures
data: {source: faces.csv, picture: path, label: shape, positive: ring, sensitive: [group], folder: pictures}
model: {network: resnet-18, options: {width: 0.125}, picture: {height: 224, width: 224}}
policy: {max_eo_gap: 1.0, attributes: {group: {groups: [majority, minority]}}}
"""


def write_pictures(folder: Path, rows: int) -> None:
    """A folder of JPEG files and its table."""
    config = GlyphConfig(rows=rows, size=SIDE, audit_rows=8)
    made = glyph_rows(config)
    (folder / "pictures").mkdir()
    for start in range(0, rows, 256):
        part = slice(start, min(start + 256, rows))
        for row, pixels in enumerate(draw(config, made.shape[part], made.group[part], made.seed[part]), start=start):
            Image.fromarray(pixels).save(folder / "pictures" / f"{row}.jpg", quality=90)
    table = {
        "path": [f"{row}.jpg" for row in range(rows)],
        "shape": [SHAPES[index] for index in made.label[:rows]],
        "group": [config.groups[index] for index in made.group[:rows]],
    }
    pyarrow.csv.write_csv(pyarrow.table(table), folder / "faces.csv")
    (folder / "edgefair.yaml").write_text(CONFIG)


def bare(session: onnxruntime.InferenceSession, folder: Path, rows: TableRows, spec: ModelSpec, batch: int) -> float:
    """Seconds of a bare loop over the same files."""
    picture = spec.inputs[0].picture
    column = rows.table.columns["path"]
    paths = [folder / "pictures" / column.blobs.name(int(row)) for row in column.rows]

    def decoded(start: int) -> np.ndarray:
        return np.stack([decode(path.read_bytes(), picture) for path in paths[start : start + batch]])

    started = time.perf_counter()
    with ThreadPoolExecutor(cores()) as pool:
        for pixels in pool.map(decoded, range(0, len(paths), batch)):
            session.run(["decision", "score"], {"picture": pixels})
    return time.perf_counter() - started


def image_ratio(folder: Path, *, rows: int, rounds: int) -> float:
    """Print both sides; the median of the ratios."""
    write_pictures(folder, round(rows / 0.3))
    config = edgefair.load_config(folder / "edgefair.yaml")
    data = load(config.data, base=folder, roles=["train", "audit"])
    audit = data.audit
    spec = spec_for(data, config.model)
    path = folder / "model.onnx"
    export_classifier(build_classifier(spec, config.model, {}, seed=0), spec, {}, path)
    profile = load_profile("local")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = profile.threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    batch = audit.batch_rows(spec, BATCH_ROWS)
    ours, theirs = [], []
    with open_target(profile) as probe:
        model = probe.load(path, name="candidate")
        for _ in range(rounds + 1):
            theirs.append(bare(session, folder, audit, spec, batch))
            started = time.perf_counter()
            outputs = probe.run(model, audit.inputs(spec, batch), ["decision", "score"], inputs=spec.inputs)
            decisions = [read_decisions(arrays, spec.reading, 2)[0] for arrays in outputs]
            counts = GroupCounts.from_rows(
                dict(audit.sensitive), label=audit.label, decision=np.concatenate(decisions), classes=spec.classes
            )
            decide(counts, config.policy)
            ours.append(time.perf_counter() - started)
    ratio = statistics.median(a / b for a, b in zip(ours[1:], theirs[1:], strict=True))
    print(f"{len(audit):,} JPEG files of {SIDE} x {SIDE}, ResNet-18 of 1/8 width, batch {batch}, {rounds} rounds:")
    print(f"  bare loop, {cores()} threads decode   {statistics.median(theirs[1:]):.3f} s")
    print(f"  edgefair, file to verdict     {statistics.median(ours[1:]):.3f} s   ratio {ratio:.3f}")
    return ratio
