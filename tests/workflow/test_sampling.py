"""Some rows of every cell stand for all of them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgefair.workflow.measurement.sampling import draw_cells, stands_for


@given(st.lists(st.integers(0, 5), min_size=1, max_size=60), st.integers(1, 20), st.integers(0, 9))
def test_the_drawn_rows_of_a_cell_stand_for_all_of_its_rows(cells, most, seed):
    cell = np.array(cells)
    taken = draw_cells(cell, most, lambda at: [seed, at])
    weight = stands_for(cell, taken)
    assert len(set(taken.tolist())) == len(taken)
    for at in range(6):
        of_cell = cell[taken] == at
        assert of_cell.sum() == min(most, (cell == at).sum())
        assert np.isclose(weight[of_cell].sum(), (cell == at).sum())
        assert np.array_equal(taken[of_cell], np.sort(taken[of_cell]))


def test_a_cell_draws_the_same_whatever_other_cells_there_are():
    cell = np.array([0, 1] * 50)
    both = draw_cells(cell, 5, lambda at: [0, at])
    alone = draw_cells(np.where(cell == 1, 1, 9), 5, lambda at: [0, at])
    assert set(both[cell[both] == 1]) == set(alone[cell[alone] == 1])
