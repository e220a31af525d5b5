"""The reference names everything that a report holds: no gate, metric or exit code without an entry."""

import json
import re
from pathlib import Path

import numpy as np

from edgefair.decision.verdict import EXIT_CODES
from edgefair.errors import EXIT_MEASUREMENT, EXIT_USAGE
from edgefair.measure.counts import GroupCounts
from edgefair.measure.metrics import DIFFERENCES, RATES, all_metrics
from edgefair.probe.bundles.gates import ALWAYS, ASKED

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "reference/metrics.md").read_text()
# Parts of a report that are numbers of a file or of a device, by their names in the schema.
OF_NUMBERS = ("CellFlips", "GroupScores", "LatencySummary")
# Keys of these that say whose number it is, how it was rounded, or that reports of before had.
NO_METRIC = {
    "CellFlips": {"group", "label", "rows", "mended", "spoiled"},
    "GroupScores": {"group", "positives", "negatives"},
    "LatencySummary": {"queries", "ladder", "quantiles"},
}


def test_every_gate_and_the_key_that_asks_for_it_has_an_entry():
    entries = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    assert {*ALWAYS, *ASKED.values(), *DIFFERENCES} <= entries
    for key, gate in ASKED.items():
        assert re.search(rf"^\| `{gate}` \| `{key}`", PAGE, re.MULTILINE), gate


def test_every_rate_and_metric_of_a_report_has_an_entry():
    table = np.full((2, 2, 2), 5)
    counts = GroupCounts(("sex",), (("f",), ("m",)), ("no", "yes"), table)
    entries = set(re.findall(r"^\| `([\w ]+)`", PAGE, re.MULTILINE))
    assert {*all_metrics(counts), *RATES} <= entries


def test_every_number_of_flips_scores_and_latency_has_an_entry():
    schema = json.loads((DOCS / "report.schema.json").read_text())["$defs"]
    for name in OF_NUMBERS:
        for key in schema[name]["properties"].keys() - NO_METRIC[name]:
            assert re.search(rf"^\| .*`{key}`.* \| ", PAGE, re.MULTILINE), f"{name}.{key}"
    assert "`speed_up`" in PAGE


def test_every_exit_code_has_an_entry():
    page = (DOCS / "reference/exit-codes.md").read_text()
    codes = dict(re.findall(r"^\| (\d) \| ([\w-]+) \|", page, re.MULTILINE))
    verdicts = {str(code): str(outcome) for outcome, code in EXIT_CODES.items()}
    assert codes == {**verdicts, str(EXIT_USAGE): "-", str(EXIT_MEASUREMENT): "-"}
