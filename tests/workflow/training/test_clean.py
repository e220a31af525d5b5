"""Labels that look wrong are found group by group, by networks that never saw the row."""

import csv
import stat

import numpy as np
import pytest
import torch

from edgefair.data.dataset import load
from edgefair.errors import DataError, UsageError
from edgefair.training.diagnose import confident_class, confidently_other
from edgefair.workflow.clean import clean, write_rows
from tests.workflow.small_project import project

ROWS = 2400
NOISE = {"where": {"sex": "F"}, "label": "yes", "flip": 0.3}


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clean")
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(2, ROWS))
    columns = {
        "id": [f"person {row}" for row in range(ROWS)],
        "a": a,
        "b": b,
        "sex": rng.choice(["F", "M"], ROWS),
        "hired": np.where(a + 0.5 * b < 0, "yes", "no"),
        "part": rng.choice(["train", "validation", "audit"], ROWS, p=[0.7, 0.1, 0.2]),
    }
    model = {"network": "mlp", "options": {"hidden": [16]}}
    noise, budget = {"id": "id", "noise": [NOISE]}, {"epochs": 20, "batch_rows": 64}
    config, noisy = project(folder, columns, noise, train=budget, model=model)
    pure = load(config.data.model_copy(update={"noise": ()}), base=folder, roles=("train",))
    flipped = {name for name, one, other in zip(pure.train.ids.text(), pure.train.label, noisy.train.label, strict=True)
               if one != other}  # fmt: skip
    return config, flipped, clean(config)


def test_planted_noise_is_found_in_its_cell_and_hardly_elsewhere(planted):
    _, flipped, found = planted
    suspicious = {item.row for item in found.suspicious}
    assert len(flipped) > 60
    # About half of them: thresholds are means, and a row below the mean of its class is not found.
    assert len(suspicious & flipped) > 0.4 * len(flipped)
    assert len(suspicious & flipped) > 0.9 * len(suspicious)
    # A flipped row has the other label now: it is found under that one.
    worst, *others = found.cells
    assert (worst.group, worst.label) == ("F", "no")
    assert all(worst.share > 5 * cell.share for cell in others)
    assert sum(cell.rows for cell in found.cells) == found.rows
    assert sum(cell.suspicious for cell in found.cells) == len(suspicious)


def test_suspicious_rows_are_written_with_their_ids_for_their_owner_alone(planted, tmp_path):
    _, _, found = planted
    path = tmp_path / "suspicious.csv"
    write_rows(found, path)
    rows = list(csv.DictReader(path.open()))
    assert [row["id"] for row in rows] == [item.row for item in found.suspicious]
    assert all(row["label"] != row["likely_label"] for row in rows)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert found.to_json()["suspicious"] == len(rows)
    assert rows[0]["id"] not in str(found.to_json())


def test_rows_that_are_dropped_train_no_more_and_the_labels_that_are_left_are_cleaner(planted):
    config, flipped, found = planted
    write_rows(found, config.base / "drop.csv")
    roles = ("train", "validation", "audit")
    before = load(config.data, base=config.base, roles=roles)
    after = load(config.data.model_copy(update={"drop": "drop.csv"}), base=config.base, roles=roles)
    gone = set(before.train.ids.text()) - set(after.train.ids.text())
    assert gone == {item.row for item in found.suspicious}
    assert after.shares["dropped"] == len(gone)
    assert f"{len(gone):,} training rows whose labels look wrong were left out (data.drop)" in after.poorer
    assert after.audit.fingerprint == before.audit.fingerprint
    assert after.validation.fingerprint == before.validation.fingerprint
    left = set(after.train.ids.text())
    assert len(flipped & left) / len(left) < 0.7 * len(flipped) / len(before.train)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("id,label\nnobody,no\n", "names 1 rows that do not train, for example nobody"),
        ("row,label\n", "no column 'id'"),
        (None, "cannot read"),
    ],
)
def test_a_file_that_does_not_fit_drops_nobody(planted, tmp_path, content, said):
    config, _, _ = planted
    path = tmp_path / "drop.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError, match=said):
        load(config.data.model_copy(update={"drop": str(path)}), base=config.base, roles=("train",))


def test_too_few_rows_for_the_folds_are_refused(planted):
    config, _, _ = planted
    with pytest.raises(UsageError, match="at least 2"):
        clean(config, folds=1)
    few = config.model_copy(update={"data": config.data.model_copy(update={"keep": 8})})
    with pytest.raises(DataError, match="too few for 20 folds"):
        clean(few, folds=20)


def test_every_group_has_thresholds_of_its_own():
    """The groups' probabilities differ on the whole: alone, each of them is judged as if there were no other."""
    generator = torch.Generator().manual_seed(0)
    probability = torch.rand(200, 3, generator=generator).softmax(1)
    probability[100:] = (probability[100:].log() / 4).softmax(1)
    label, group = torch.randint(3, (200,), generator=generator), torch.arange(200) // 100
    likely = confident_class(probability, label, group)
    other = (likely >= 0) & (likely != label)
    for one in (0, 1):
        mine = group == one
        assert torch.equal(other[mine], confidently_other(probability[mine], label[mine]))
    assert not torch.equal(other, confidently_other(probability, label))
