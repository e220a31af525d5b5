"""One fixed result of every kind of ending, decided from fixed counts, and the documents that formats made of them.

`python -m tests.report.golden_results` writes `tests/report/golden/` anew: look at what changed before it is committed.
"""

import datetime
import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgefair._version import __version__
from edgefair.data.config import DataConfig
from edgefair.decision.decide import decide
from edgefair.decision.evidence import Evidence
from edgefair.decision.policy import Policy
from edgefair.errors import MeasurementError
from edgefair.measure.counts import GroupCounts
from edgefair.measure.footprint import Footprint
from edgefair.measure.latency import LatencySummary
from edgefair.measure.pooled import PoolDevice
from edgefair.measure.scores import Interval
from edgefair.probe.bundles.gates import LATENCY
from edgefair.report.formats import FORMATS, open_format
from edgefair.report.formats.base import Item
from edgefair.report.policy_lines import PolicyLines
from edgefair.report.results.failure import Failure
from edgefair.report.results.verification import (
    AuditRows,
    DataSection,
    GroupScores,
    Information,
    LedgerCount,
    ModelFile,
    Report,
    TargetResult,
)
from tests.report.study_results import studies

GOLDEN = Path(__file__).parent / "golden"
SCORES = Information(
    {"sex": Interval(0.01, 0.0, 0.03)},
    {"sex": (GroupScores("Female", 4000, 4000, Interval(0.9, 0.89, 0.91), Interval(0.01, -0.01, 0.03)),)},
    "",
)
TODAY = datetime.date(2026, 11, 1)
LINES = PolicyLines("edgefair.yaml", {"": 20, "max_eo_gap": 21, "max_latency_p90_ms": 22, "metrics": 23})
SUFFIX = {"json": "json", "gitlab-codequality": "json", "sarif": "sarif", "cyclonedx": "json", "badge": "json",
          "markdown": "md", "html": "html", "card": "md", "junit": "xml"}  # fmt: skip
# Studies are long, and looked at in tests/browser.
LEFT_OUT = {(form, name) for form in ("json", "html") for name in ("study", "study-few", "study-part")}
# What a page repeats of every other one, and of the JSON that stands beside it.
SHARED = re.compile(
    r"(?<=<style>).*?(?=</style>)|(?<='sha256-)[^']*(?=')|(?<=The report as JSON\">)[^<]*(?=</pre>)", re.S
)


def tables(*groups):
    """Counts [groups][labels][decisions] from (true positives, positives, false positives, negatives)."""
    return np.array([[[n0 - fp, fp], [n1 - tp, tp]] for tp, n1, fp, n0 in groups], dtype=np.int64)


def timed(times):
    """Latency that is so many times as large as usual here."""
    return LatencySummary(2048, *(times * ms for ms in (1.5, 1.75, 2.0, 1.7, 1.8)), 0.01, 1500)


def pool():
    """Devices that shared the rows of `FAIR`: a slow one that decided few, and one that was lost untimed."""
    device = {"cpu": "a processor", "onnxruntime": "1.32.0"}
    loads = Footprint((3.5, 3.25, 3.75), None, 12_500_000)
    lost = ((LATENCY, "'pi-c' was lost before it was timed"),)
    return (
        PoolDevice("pi-b", 2000, device, timed(4.0), loads),
        PoolDevice("pi-a", 13_500, device, timed(1.0), loads),
        PoolDevice("pi-c", 500, device, None, None, lost),
    )


def report_of(table, *, groups=("Female", "Male"), attribute="sex", classes=("no", "yes"), targets=("local",),
              tables_of=(), model="dist/people", source="people.csv", notes=(), pool=(), **policy):  # fmt: skip
    """The report of a model whose decisions are counted in the table; on later targets in those of `tables_of`.

    Args:
        pool: devices that shared the rows, the slowest first.
    """
    judged = Policy.model_validate({"attributes": {attribute: {"groups": list(groups)}}} | policy)
    results = []
    for name, counted in zip(targets, (table, *tables_of), strict=True):
        counts = GroupCounts((attribute,), tuple((group,) for group in groups), tuple(classes), np.asarray(counted))
        latency = pool[0].latency if pool else timed(1.0)
        evidence = Evidence(counts, size_bytes=3149, latency=latency, pool=tuple(pool))
        results.append(
            TargetResult(
                target=name,
                device={"cpu": "a processor", "onnxruntime": "1.32.0"},
                budgets={},
                verdict=decide(evidence, judged, today=TODAY, targets=len(targets)),
                counts=counts.to_json(),
                evidence=evidence.to_json(),
                flips=(),
                information=SCORES,
                latency=latency,
                reference_latency=None,
                speed_up=None,
                timings_s={"first row to verdict": 0.5},
            )
        )
    data = DataConfig(source=source, label="hired", positive=classes[1], sensitive=(attribute,))
    rows = int(np.asarray(table).sum())
    return Report(
        command="verify",
        version="0.2.0",
        created="2026-11-01T12:00:00+00:00",
        model=ModelFile(model, "ab" * 32, 3149),
        reference=None,
        audit=AuditRows(source, rows, "cd" * 32),
        data=DataSection(data.model_dump(mode="json"), {"audit": rows}),
        policy=judged.model_dump(mode="json"),
        targets=tuple(results),
        disagreements=(),
        settings={},
        ledger=LedgerCount(2, 1),
        notes=tuple(notes),
    )


FAIR = tables((3200, 4000, 400, 4000), (3210, 4000, 404, 4000))
UNFAIR = tables((3200, 4000, 400, 4000), (2400, 4000, 404, 4000))
FEW = tables((80, 100, 10, 100), (75, 100, 10, 100))
ONE_CLASS = tables((0, 4000, 0, 4000), (0, 4000, 0, 4000))
WAIVER = {"comparison": "sex: TPR, Female / Male", "reason": "mended by May", "owner": "A. Person",
          "expires": "2999-01-01"}  # fmt: skip


def many_groups():
    """Of 40 groups the last one is decided worse."""
    return tables(*[(1600 + index, 2000, 200, 2000) for index in range(39)], (1000, 2000, 200, 2000))


def many_classes():
    """Of 10 classes the last one is missed more often in the last group."""
    table = np.stack([np.eye(10, dtype=np.int64) * 900 + 10] * 2)
    table[-1, -1, -1] -= 500
    table[-1, -1, 0] += 500
    return table


def results():
    """Name -> result."""
    lost = MeasurementError("the device was lost", expected="a connection that holds", fix="look at its log")
    return {
        "pass": report_of(FAIR, max_latency_p90_ms=5, notes=["a note"]),
        "fail": report_of(UNFAIR, metrics={"accuracy_difference": 0.05}),
        "inconclusive": report_of(FEW),
        "error": Failure.of(lost),
        "waiver": report_of(UNFAIR, waivers=[WAIVER]),
        "one-class": report_of(ONE_CLASS),
        "targets": report_of(FAIR, targets=("local", "pi-4", "qemu:haswell"), tables_of=(UNFAIR, FEW)),
        "groups": report_of(many_groups(), groups=[f"group {index}" for index in range(40)]),
        "pool": report_of(FAIR, targets=("pool:pi-a,pi-b,pi-c",), pool=pool(), max_latency_p90_ms=5),
        "classes": report_of(many_classes(), classes=[f"class {index}" for index in range(10)]),
    }


def document(form, *items):
    """The document that a format makes, without the version of edgefair and digests of policies."""
    stream = io.StringIO()
    open_format(form).write([replace(item, policy=LINES) for item in items], stream)
    text = stream.getvalue().replace(f'"{__version__}"', '"VERSION"')
    # A new key of the policy changes every policy's digest.
    for report in (item.result for item in items if isinstance(item.result, Report)):
        text = text.replace(report.targets[0].verdict.policy_digest, "DIGEST")
    return text


def kept(form, *items):
    """The document as a golden file keeps it: a page without its style sheet and the JSON in it."""
    text = document(form, *items)
    return SHARED.sub("", text) if form == "html" else text


def documents():
    """(file, format, result) of every document that there is."""
    for name, result in (results() | studies()).items():
        for form, known in FORMATS.items():
            if known.can_hold(result.schema) and (form, name) not in LEFT_OUT:
                yield GOLDEN / f"{name}.{form}.{SUFFIX.get(form, 'txt')}", form, result


def main():
    """Write all of them."""
    GOLDEN.mkdir(exist_ok=True)
    for path in GOLDEN.iterdir():
        path.unlink()
    for path, form, result in documents():
        path.write_text(kept(form, Item(result)))


if __name__ == "__main__":
    main()
