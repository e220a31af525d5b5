"""Which training rows a decision about the network is based on."""

from __future__ import annotations

import torch
from torch import Tensor

from edgefair.debias import Cells


def balanced_sample(cells: Cells, rows: int, *, seed: int) -> Tensor:
    """Sorted positions of about `rows` rows, as many from every (group, label) cell that has them: int64 [chosen].

    A cell with fewer rows gives all that it has.
    """
    drawn = torch.randperm(len(cells.label), generator=torch.Generator().manual_seed(seed))
    index = cells.index()[drawn]
    present = sorted(set(index.tolist()))
    each = max(1, rows // len(present))
    return torch.cat([drawn[index == cell][:each] for cell in present]).sort().values
