"""How long to train by default, and what to say of training that was too short.

Steps teach, not epochs: four epochs of 1,797 rows in batches of 1,024 are eight steps, and nothing is learned in them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

# Least number of steps of a default budget, and its least and largest number of epochs.
LEAST_STEPS, LEAST_EPOCHS, MOST_EPOCHS = 600, 4, 100
# Batches of a default budget: about a 32nd of the rows, a power of two. Smaller ones hold too few of a rare group for a
# penalty on its rates; larger ones make no faster progress.
ROWS_OF_A_BATCH, LEAST_BATCH, MOST_BATCH = 32, 64, 1024
# Steps below which a network has hardly moved, and a fall of the loss in the last epoch that says: still learning.
FEW_STEPS, STILL_FALLING = 200, 0.1
# Balanced accuracy above chance below which nothing was learned.
HARDLY = 0.05


def default_batch(rows: int) -> int:
    """Rows of a batch for so many training rows."""
    share = max(1, rows // ROWS_OF_A_BATCH)
    return min(MOST_BATCH, max(LEAST_BATCH, 1 << (share.bit_length() - 1)))


def default_epochs(rows: int, batch_rows: int) -> int:
    """Passes over so many training rows in such batches."""
    steps = max(1, math.ceil(rows / batch_rows))
    return min(MOST_EPOCHS, max(LEAST_EPOCHS, math.ceil(LEAST_STEPS / steps)))


def underfitting(
    losses: Sequence[float], *, rows: int, batch_rows: int, balanced_accuracy: float, classes: int
) -> tuple[str, ...]:
    """What to say of a training that ended before the network had learned.

    Args:
        losses: mean loss of each epoch.
        balanced_accuracy: on the validation rows.
    """
    steps = len(losses) * math.ceil(rows / batch_rows)
    signs = []
    if steps < FEW_STEPS:
        signs.append(f"it took {steps} steps ({len(losses)} epochs of {rows:,} rows in batches of {batch_rows:,})")
    if balanced_accuracy < 1 / classes + HARDLY:
        signs.append(f"balanced accuracy {balanced_accuracy:.3f} on validation rows is hardly better than chance")
    if len(losses) > 1 and losses[-1] < (1 - STILL_FALLING) * losses[-2]:
        signs.append(f"the loss still fell by {1 - losses[-1] / losses[-2]:.0%} in the last epoch")
    if not signs:
        return ()
    return (
        f"UNDERFITTED? {'; '.join(signs)}. More epochs (--epochs), smaller batches (train.batch_rows) or another "
        "train.learning_rate may learn more",
    )
