"""What treats a fine-tune where the user says nothing."""

from types import SimpleNamespace

import pytest

from edgefair.config import parse_config
from edgefair.training.settings import MethodConfig
from edgefair.workflow.compression.run_steps import finetune_methods

GAME = {"prune": 0.5, "importance": "adversarial", "adversary": {"weight": 0.5, "target": "parity"}}
STAYS = MethodConfig(method="adversarial", options={"alpha": 0.5, "form": "reversal", "target": "parity"})
REWEIGH, OWN = MethodConfig(method="reweigh"), MethodConfig(method="adversarial", options={"alpha": 2.0})


@pytest.mark.parametrize(
    ("compress", "trained", "asked", "expected"),
    [
        (GAME, [], None, [STAYS]),
        (GAME, [REWEIGH], None, [REWEIGH, STAYS]),
        (GAME, [OWN], None, [OWN]),
        (GAME, [REWEIGH], [], []),
        (GAME, [], ["reweigh"], [REWEIGH]),
        (GAME | {"adversary": {"weight": 0}}, [REWEIGH], None, [REWEIGH]),
        ({"prune": 0.5, "importance": "taylor"}, [REWEIGH], None, [REWEIGH]),
        ({"sparsity": 0.5}, [], None, []),
    ],
)
def test_an_adversary_that_chose_the_channels_stays_in_the_fine_tune_by_default(
    tmp_path, compress, trained, asked, expected
):
    keys = {
        "project": "p",
        "data": {"source": "x.csv", "label": "y", "sensitive": ["s"]},
        "policy": {"attributes": {"s": {"groups": ["a", "b"]}}},
        "compress": compress,
        "debias": {} if asked is None else {"finetune": asked},
    }
    config = parse_config(keys, base=tmp_path)
    run = SimpleNamespace(settings={"debias": [item.model_dump() for item in trained]})
    assert [*finetune_methods(config, run, config.compress)[0]] == expected
