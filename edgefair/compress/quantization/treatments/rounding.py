"""To which side each weight of a layer is rounded, so that the layer gives what it gave."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Passes over the inputs of a layer; mostly nothing changes after a few.
PASSES = 8
# Inputs whose changes are passed on to the others together.
BLOCK = 64
# Steps by which a code may differ from its number by rounding in float32.
EXACT = 1e-4
# Of the mean of the diagonal of A: what keeps weights where they were in directions that the rows do not show.
RIDGE = 0.01


def round_adaptively(weight: Floats, scale: Floats, largest: int, inner: Floats, outer: Floats) -> Floats:
    """Codes q of a weight, each of the two next to w / scale, that minimise sum over outputs of |y - scale q x|^2.

    Rounding to the nearest minimises |w - scale q|^2, which is another thing: errors of weights that read the same
    inputs add up or cancel (Nagel et al., "Up or down? Adaptive rounding for post-training quantization", ICML 2020).
    With A = E[x x'] and B = E[x y'] the loss of an output is quadratic in q, and the best side of one weight, given the
    others, is known: coordinate descent from the nearest codes, input by input for all outputs at once, in numpy, with
    no seed and no step size (as QuantEase, Behdin et al. 2023). x is what the layer reads in the INT8 graph and y what
    it gives in the FP32 graph, so errors of the layers before it are compensated as well.

    Args:
        weight: [outputs, inputs].
        scale: [outputs].
        largest: of the codes, without sign.
        inner: A, [inputs, inputs].
        outer: B, [inputs, outputs].
    """
    ridge = RIDGE * max(float(np.trace(inner)) / max(len(inner), 1), np.finfo(np.float64).tiny)
    inner = inner + ridge * np.eye(len(inner))
    target = (outer + ridge * weight.T) / scale
    exact = weight / scale[:, None]
    # A number that is a code stays that one: the largest of a channel, from which the scale is found again.
    low, high = np.floor(exact + EXACT), np.ceil(exact - EXACT)
    low, high = np.clip(low, -largest, largest), np.clip(high, -largest, largest)
    codes = np.clip(np.rint(exact), -largest, largest)
    slope = inner @ codes.T - target
    # The inputs that say most come first.
    order = np.argsort(-np.diag(inner), kind="stable")
    blocks = np.array_split(order, -(-len(order) // BLOCK))
    for _ in range(PASSES):
        changed = [_descend(block, codes, low + high, inner, slope) for block in blocks]
        if not any(changed):
            break
    return codes


def _descend(block: NDArray[np.int64], codes: Floats, both: Floats, inner: Floats, slope: Floats) -> bool:
    """Go once over some inputs, in place; whether any code has changed.

    What others lose by it is added up for all of the block at once: that is a product of matrices.

    Args:
        codes: [outputs, inputs].
        both: sum of the two codes that each weight may have, [outputs, inputs].
        slope: half of the gradient of the loss, [inputs, outputs].
    """
    before, near, local = codes[:, block].copy(), inner[np.ix_(block, block)], slope[block]
    for place, index in enumerate(block.tolist()):
        step = both[:, index] - 2 * codes[:, index]
        gain = step * (2 * local[place] + step * near[place, place])
        step = np.where(gain < 0, step, 0.0)
        if step.any():
            codes[:, index] += step
            local += np.outer(near[:, place], step)
    moved = codes[:, block] - before
    if not moved.any():
        return False
    slope += inner[:, block] @ moved.T
    return True
