"""The sentences of a page: what each part shows and what to do, for somebody who has never seen one."""

from __future__ import annotations

GATES = (
    "Every requirement of the policy, on every target. The release is as good as its worst gate: FAIL was shown, PASS"
    " was shown, INCONCLUSIVE means that these rows show neither."
)
DIFFERENCES = (
    "How far the groups' rates lie apart, worst first. The bar reaches from the lower to the upper limit, the dashed "
    "line is the threshold: a bar left of it is shown to be within, a bar right of it beyond, and a bar across it "
    "needs more rows."
)
CHANGES = (
    "How far the groups' rates moved apart or together from the first model to the second, largest first. The bar "
    "reaches from the lower to the upper limit."
)
LAYERS = (
    "A row is a layer, a column a group with a label. Red: the loss of these people grows by what happens in this "
    "layer; blue: it falls; grey: not measured. Look for rows that are red in one group alone."
)
RATES = (
    "What every group meets, with a two-sided interval, and how many audit rows say so. A cell with fewer rows than "
    "the least number cannot PASS: collect more of them."
)
FLIPS = (
    "Rows that the model decides otherwise than before: to the right those that are decided correctly now, to the "
    "left those that no longer are. A group that loses more than it gains pays for the compression."
)
CHANGED_ROWS = (
    "Who is behind the numbers: of every cell some of the {} that are decided otherwise, broken ones first. Look for "
    "what they have in common, and whether a person would have decided as the label says."
)
PEOPLE = (
    "This page holds people's data (rows of the data set), because --show-rows asked for it. Keep it as the data is "
    "kept; a page for others is made without that option."
)
SCORES = (
    "How well the model ranks the rows of each group, whatever its threshold, and how far its mean score lies from the "
    "group's rate. Information: no gate judges it, but a group that is ranked worse is served worse at any threshold."
)
SPEED = (
    "Milliseconds of one inference at batch 1 on this device: further left is faster, and far to the right at its end "
    "means that some queries wait long. What was not measured is not shown."
)
POOL = (
    "The devices that shared the rows, slowest first: the dot is the median of a query's time, the bar ends at the 99th"
    " percentile. Of what needs a clock the worst device decides, however few rows it was asked."
)
DEVICES = "Where the file was measured. Each device decides by itself, and the worst one counts."
BESIDE = "How the rows were chosen, how often they were used, and what else a reader must know."
BASIS = "Everything above can be computed again from the JSON below."
TRIALS = (
    "What was tried on validation rows, one after the other; it ended because {}. Lower is fairer, further left is "
    "cheaper. The audit rows decided once, about the one that was chosen."
)
HOW_TO_READ = (
    "A rate is a share of rows: TPR of those whose label is positive and that the model decides positively, FPR of "
    "those whose label is negative and that it decides positively all the same.",
    "The equalized-odds gap is the largest difference of such a rate between two groups. At 0 the model errs equally "
    "for everybody.",
    "An estimate is what these rows show; other rows would show another one. The limits say how far off it may be: at"
    " 95 % confidence a limit is wrong in at most one of twenty audits.",
    "PASS: every difference is shown to be at most the threshold. FAIL: one is shown to exceed it. INCONCLUSIVE: "
    "these rows show neither, which is not a proof of anything; more rows decide.",
    "A group without enough rows is never left out: it makes the verdict INCONCLUSIVE.",
    "Decisions come from the file itself, run on the device that is named, not from the network before its export.",
    "The verdict is about the people in the audit rows and those like them. It says nothing about groups that are not"
    " in the data, and nothing about what a decision does to somebody.",
)
