"""Students at a share of a network's width: every head keeps the same number of channels."""

import json

import pytest

from edgefair.errors import ModelError
from edgefair.training.networks.narrower import narrower


def test_lists_factors_and_channels_are_each_narrowed_in_their_own_way():
    assert narrower("mlp", {"hidden": [128, 64]}, 0.25)["hidden"] == [32, 16]
    assert narrower("resnet-18", {"width": 0.25}, 0.5)["width"] == 0.125
    assert narrower("resnet-18", {}, 0.5)["width"] == 0.5
    found = narrower("text-transformer", {"width": 96, "depth": 3, "heads": 4}, 0.4)
    assert (found["width"], found["depth"]) == (40, 3)
    assert isinstance(narrower("vit-small", {}, 0.5)["width"], int)
    assert narrower("text-transformer", {"heads": 8}, 0.001)["width"] == 8, "a channel for every head"


def test_a_student_of_pretrained_weights_has_their_shape_and_none_of_them(tmp_path):
    config = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12}
    (tmp_path / "config.json").write_text(json.dumps(config))
    found = narrower("text-transformer", {"weights": str(tmp_path)}, 0.5)
    assert "weights" not in found
    assert (found["width"], found["depth"], found["heads"]) == (192, 6, 12)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="how wide"):
        narrower("text-transformer", {"weights": str(tmp_path)}, 0.5)
