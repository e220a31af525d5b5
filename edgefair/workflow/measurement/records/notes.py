"""What stands beside every verdict on rows: which are not judged, and what is counted."""

from __future__ import annotations

import numpy as np

from edgefair.config import Config
from edgefair.decision.policy import not_judged_note
from edgefair.workflow.measurement.records.rows import RecordedRows

# Which of the two questions a verdict on rows of subjects answers.
COUNTED = {
    "people": "people are judged (policy.subject_weights: people): in a cell every subject has one vote, however many "
    "rows are of one; what no gate judges (accuracy, other metrics) counts rows",
    "rows": "rows are judged (policy.subject_weights: rows): who has more rows weighs more",
}
# What is tested row by row would take the labelled rows for a sample of all.
DESIGNED = (
    "rows were chosen by a label design: {labelled:,} of {rows:,} are labelled, and every rate is weighted by the "
    "sizes of the {strata} strata; counts of rows are those of the labelled ones, and flips by label and scores of "
    "groups, which know no weights, are not reported"
)


def notes_of_rows(config: Config, rows: RecordedRows) -> list[str]:
    """What a reader of the verdict must know of how the rows were chosen and are counted."""
    unjudged = config.policy.not_judged(rows.sensitive)
    notes = [not_judged_note(unjudged)] if unjudged else []
    notes += [] if rows.subject is None else [COUNTED[config.policy.subject_weights]]
    if rows.stratum is not None:
        labelled, strata = int((rows.label >= 0).sum()), len(np.unique(rows.stratum))
        notes.append(DESIGNED.format(labelled=labelled, rows=len(rows.label), strata=strata))
    return notes
