"""A study of a known truth in the states that a study can be in: whole, with too few seeds, not run to its end."""

from functools import cache

from edgefair.study.findings.build import study_report
from tests.study.drawn import PLAN, plan_of, table_of

SMALL = PLAN.replace("[0, 0.1, 0.2]", "[0, 0.2]").replace("prune 0.5, ", "")
LARGE = """
study: large
factors:
  noise: [0, 0.1, 0.2, {flip: 0.4, where: {sex: Female}, label: "50000+"}]
  thin: [none, {keep: 0.2, where: {sex: Female}}]
  extent: [none, finetune-only, int8, prune 0.5, prune 0.8, prune 0.95, prune 0.8 + int8]
  treatment: [none, label-balance, before, during, before + during]
seeds: 8
"""
REPLICATES = 40


@cache
def studies():
    """Name -> result."""
    plan, few = plan_of(SMALL), plan_of(SMALL, seeds=3)
    rows = table_of(plan, failed=(5,))
    return {
        "study": study_report(plan, rows, replicates=REPLICATES),
        "study-few": study_report(few, table_of(few), replicates=REPLICATES),
        "study-part": study_report(plan, rows[:100], replicates=REPLICATES),
    }
