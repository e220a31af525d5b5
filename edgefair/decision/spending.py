"""How several verdicts on the same rows share one error probability.

Alpha-spending over a sealed audit set: verdict k may err with probability alpha / (k (k + 1)), which adds up to alpha
over all k. Until the first PASS the only answer is "not PASS": so there is one path of answers, whoever picks the next
model knows nothing of the rows but its length, and the union bound over that path holds whatever they do (one branch of
the tree of answers of Dwork et al., Preserving statistical validity in adaptive data analysis, STOC 2015). The first
PASS ends the path, as its numbers are shown: no later verdict on these rows is covered.
"""

from __future__ import annotations

# Quantiles at less are not told apart from 0 and 1; the least alpha of a policy too.
LEAST_LEVEL = 1e-9


def sealed_level(alpha: float, number: int) -> float | None:
    """Error probability of the verdict of this number: alpha / (number (number + 1)); None where that is spent.

    Args:
        number: of the verdict among those on the same rows, from 1 on.
    """
    level = alpha / (number * (number + 1))
    return level if level >= LEAST_LEVEL else None


def chance_of_pass(alpha: float, tries: int) -> float:
    """Largest probability that one of so many tries PASSes on the same rows though none should: min(1, tries alpha).

    The union bound, for models that were not chosen by what these rows said of others. For those that were there is no
    bound but 1.
    """
    return min(1.0, tries * alpha)
