"""A signal that everybody has makes nobody a training row, and one that tells people apart still does."""

import numpy as np
import pytest

from edgefair.data.config import DataConfig
from edgefair.data.dataset import load
from edgefair.data.identity.overlap import check_overlap
from edgefair.data.identity.seen import SeenRows
from edgefair.errors import DataError

ROWS = 400
FEATURES = ["x", "state"]


def people(folder, *, x=None, state=None, split="part"):
    rng = np.random.default_rng(0)
    arrays = {
        "x": rng.normal(size=(ROWS, 2)).astype(np.float32) if x is None else x,
        "state": np.zeros((ROWS, 2, 4), dtype=np.float32) if state is None else state,
        "y": rng.choice(["no", "yes"], ROWS),
        "sex": rng.choice(["F", "M"], ROWS),
        "part": np.where(np.arange(ROWS) % 2 == 0, "train", "test"),
    }
    np.savez(folder / "all.npz", **arrays)
    config = {"source": "all.npz", "label": "y", "positive": "yes", "sensitive": ["sex"], "features": FEATURES}
    if split:
        config["split"] = {"column": "part", "train": ["train"], "audit": ["test"]}
    return load(DataConfig.model_validate(config), base=folder, roles=("train", "validation", "audit"))


def checked(data):
    return check_overlap(SeenRows.of([data.train, data.validation], FEATURES), data.audit)


def test_a_first_state_that_everybody_has_is_no_evidence(tmp_path):
    assert checked(people(tmp_path)).shared == 0


def test_a_mask_of_few_kinds_is_compared_together_with_the_vector_beside_it(tmp_path):
    masks = np.zeros((ROWS, 2, 4), dtype=np.float32)
    masks[:, 0, 0] = np.arange(ROWS) // 2 % 3
    assert checked(people(tmp_path, state=masks)).shared == 0


def test_rows_that_are_copied_whole_are_found_in_either_case(tmp_path):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(ROWS // 2, 2)).astype(np.float32).repeat(2, axis=0)
    signal = rng.normal(size=(ROWS // 2, 2, 4)).astype(np.float32).repeat(2, axis=0)
    with pytest.raises(DataError, match="byte-for-byte copies of training rows"):
        checked(people(tmp_path, x=x, state=signal))
    with pytest.raises(DataError, match="equal a training row in every feature"):
        checked(people(tmp_path, x=x))


def test_a_drawn_split_does_not_take_everybody_for_one_unit(tmp_path):
    data = people(tmp_path, split=None)
    assert 0.2 * ROWS < len(data.audit) < 0.4 * ROWS
