"""Every network by name trains, exports, and gives the same numbers in onnxruntime."""

import json
import sys
import types

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from edgefair.errors import ModelError, UsageError
from edgefair.exporters.torch_module import export_classifier
from edgefair.probe.onnx_files.spec import InputSpec, ModelSpec, PictureSpec, Reading, TokenSpec
from edgefair.training.build import build_classifier
from edgefair.training.networks import NETWORKS, open_network
from edgefair.training.networks.batch_norms import statistics_of_last_batch
from edgefair.training.settings import ModelConfig, PictureConfig

SMALL = {
    "resnet-18": {"width": 0.125},
    "resnet-34": {"width": 0.125},
    "mobilenet-v2": {"width": 0.35},
    "vit-small": {"width": 32, "depth": 2, "heads": 2},
    "convnext-tiny": {"width": 0.1, "depths": [1, 1, 1, 1]},
    "fer-cnn": {"width": 0.125},
    "text-transformer": {"width": 32, "depth": 1, "heads": 2},
}


def classifier_of(network, classes=3, side=32, options=None):
    if network == "text-transformer":
        item = InputSpec("input_ids", "int32", tokens=TokenSpec("text", "ids", 12, "x", 50, 0))
        x = torch.randint(1, 50, (3, 12), dtype=torch.int32)
        x[1, 4:] = 0
        x[2] = 0
    else:
        item = InputSpec("picture", "uint8", picture=PictureSpec("p", side, side))
        x = torch.randint(0, 256, (3, side, side, 3), dtype=torch.uint8)
    spec = ModelSpec((item,), Reading("decision", "label", None, "score"), tuple("abcdefg"[:classes]))
    options = SMALL[network] if options is None else options
    model = ModelConfig(network=network, options=options, picture=PictureConfig(height=side, width=side))
    return build_classifier(spec, model, {}, seed=0), spec, x


def test_every_name_is_tested():
    assert set(SMALL) | {"mlp"} == set(NETWORKS)


# `make test-architectures` exports ResNet-34, a ResNet-18 with more of the same blocks, too.
@pytest.mark.parametrize(
    "network", [pytest.param(name, marks=[pytest.mark.long] * (name == "resnet-34")) for name in sorted(SMALL)]
)
def test_the_graph_equals_the_network_for_any_number_of_rows(network, tmp_path):
    classifier, spec, x = classifier_of(network)
    loss = nn.functional.cross_entropy(classifier.train()(x), torch.tensor([0, 1, 2]))
    loss.backward()
    assert torch.isfinite(loss)
    classifier.eval()
    export_classifier(classifier, spec, {}, tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    name = spec.inputs[0].name
    with torch.no_grad():
        expected = classifier(x).softmax(dim=1).numpy()
    assert np.isfinite(expected).all()
    for rows in (slice(0, 1), slice(0, 3)):
        decision, score = session.run(["decision", "score"], {name: x[rows].numpy()})
        assert np.abs(score - expected[rows]).max() < 1e-4
        assert np.array_equal(decision, expected[rows].argmax(1))


def test_the_network_of_the_study_of_expressions_has_the_numbers_of_the_published_one():
    network = open_network("fer-cnn", features=(1, 48, 48), classes=7, options={})
    assert sum(value.numel() for value in network.parameters()) == 4_474_759
    moving = [value for name, value in network.named_buffers() if "running" in name]
    assert sum(value.numel() for value in moving) == 3_968
    with pytest.raises(UsageError, match="halves a picture four times"):
        open_network("fer-cnn", features=(1, 15, 48), classes=7, options={})


@pytest.mark.parametrize("network", sorted(SMALL))
def test_running_statistics_outlive_a_batch(network):
    assert statistics_of_last_batch(classifier_of(network)[0].network) is None


def test_statistics_of_the_last_batch_are_said_with_their_momentum():
    network = nn.Sequential(
        nn.Linear(2, 2), nn.BatchNorm1d(2, momentum=0.997), nn.BatchNorm1d(2), nn.BatchNorm1d(2, momentum=None)
    )
    assert statistics_of_last_batch(network).startswith(
        "1 batch normalizations of the network have a momentum of up to 0.997"
    )


def test_the_same_seed_gives_the_same_weights():
    one, other = (classifier_of("resnet-18")[0].state_dict() for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_small_picture_keeps_its_resolution_at_the_beginning():
    sizes = {}
    for stem in ("small", "imagenet", "auto"):
        network = open_network("resnet-18", features=(3, 32, 32), classes=2, options={"width": 0.125, "stem": stem})
        seen = []
        network.model.resnet.encoder.register_forward_hook(
            lambda _m, _i, o, seen=seen: seen.append(o.last_hidden_state.shape[-1])
        )
        network.eval()(torch.zeros(1, 3, 32, 32))
        sizes[stem] = seen[0]
    assert sizes == {"small": 4, "imagenet": 1, "auto": 4}


@pytest.mark.parametrize("network", sorted(set(SMALL) - {"text-transformer", "fer-cnn"}))
def test_weights_of_a_local_folder_are_taken_and_the_last_layer_is_new_without_advice(network, tmp_path, capfd):
    options = {**SMALL[network], **({"stem": "imagenet"} if "stem" in signature(network) else {})}
    first = open_network(network, features=(3, 32, 32), classes=5, options=options)
    first.model.save_pretrained(tmp_path)
    second = open_network(network, features=(3, 32, 32), classes=2, options={**options, "weights": str(tmp_path)})
    assert "newly initialized" not in capfd.readouterr().err
    before, after = first.state_dict(), second.state_dict()
    shared = [name for name in before if "classifier" not in name]
    assert all(torch.equal(before[name], after[name]) for name in shared)
    assert second(torch.zeros(2, 3, 32, 32)).shape == (2, 2)


def signature(network):
    import importlib
    import inspect

    module, _, name = NETWORKS[network].partition(":")
    return inspect.signature(getattr(importlib.import_module(module), name)).parameters


def test_pickled_weights_and_other_architectures_are_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    options = {"width": 0.125, "weights": str(tmp_path)}
    with pytest.raises(ModelError, match="pickled weights are never loaded"):
        open_network("resnet-18", features=(3, 32, 32), classes=2, options=options)
    vit = open_network("vit-small", features=(3, 32, 32), classes=2, options=SMALL["vit-small"])
    vit.model.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="vit"):
        open_network("resnet-18", features=(3, 32, 32), classes=2, options=options)


def saved_vit(folder):
    network = open_network("vit-small", features=(3, 32, 32), classes=2, options=SMALL["vit-small"])
    network.model.save_pretrained(folder)
    return network.model


def reopened(folder):
    return open_network("vit-small", features=(3, 32, 32), classes=2, options={"weights": str(folder)})


def test_weights_that_do_not_fit_their_config_are_named_and_not_drawn_at_random(tmp_path):
    saved_vit(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"intermediate_size": 3 * config["intermediate_size"]}))
    with pytest.raises(
        ModelError, match=r"do not fit its config\.json: .*(intermediate\.dense|mlp\.fc1)\.bias, of which it needs \["
    ) as caught:
        reopened(tmp_path)
    assert "same save" in caught.value.fix


@pytest.mark.parametrize(("value", "message"), [(None, "lacks weights"), (float("nan"), "NaN or infinite numbers")])
def test_weights_that_are_missing_or_no_numbers_are_named(value, message, tmp_path):
    model = saved_vit(tmp_path)
    weights, name = model.state_dict(), "vit.layernorm.weight"
    if value is None:
        del weights[name]
    else:
        weights[name][0] = value
    model.save_pretrained(tmp_path, state_dict=weights)
    with pytest.raises(ModelError, match=rf"{message}: {name}"):
        reopened(tmp_path)


@pytest.mark.parametrize(
    ("network", "features", "options", "why"),
    [
        ("resnet-18", (12,), {}, "takes pictures"),
        ("text-transformer", (3, 8, 8), {"vocabulary": 9, "pad": 0}, "takes tokens"),
        ("vit-small", (3, 30, 32), {}, "do not tile"),
        ("vit-small", (3, 32, 32), {"width": 64}, "cannot be split among 3 heads"),
        ("convnext-tiny", (3, 12, 32), {}, "at least 16 x 16"),
        ("resnet-18", (3, 32, 32), {"widht": 2}, "did you mean 'width'"),
        ("resnet-81", (3, 32, 32), {}, "did you mean 'resnet-18'"),
    ],
)
def test_what_does_not_fit_is_said(network, features, options, why):
    with pytest.raises(UsageError, match=why):
        open_network(network, features=features, classes=2, options=options)


def test_longer_texts_than_the_weights_have_positions_for_are_refused(tmp_path):
    first = open_network(
        "text-transformer", features=(8,), classes=2, options={"vocabulary": 9, "pad": 0, **SMALL["text-transformer"]}
    )
    first.model.save_pretrained(tmp_path)
    for features, vocabulary, why in (((9,), 9, "at most 8 tokens"), ((8,), 10, "knows 9")):
        with pytest.raises(UsageError, match=why):
            open_network(
                "text-transformer",
                features=features,
                classes=2,
                options={"vocabulary": vocabulary, "pad": 0, "weights": str(tmp_path)},
            )


def test_other_zoos_are_asked_where_they_import(monkeypatch):
    asked = []

    def create(name, **options):
        asked.append((name, options))
        return nn.Identity()

    timm = types.SimpleNamespace(create_model=create)
    models = types.SimpleNamespace(get_model=create)
    monkeypatch.setitem(sys.modules, "timm", timm)
    monkeypatch.setitem(sys.modules, "torchvision", types.SimpleNamespace(models=models))
    monkeypatch.setitem(sys.modules, "torchvision.models", models)
    open_network("timm:mobilenetv3_small_050", features=(1, 32, 32), classes=4, options={"drop_rate": 0.1})
    open_network("torchvision:resnet18", features=(3, 32, 32), classes=4, options={})
    assert asked == [
        ("mobilenetv3_small_050", {"pretrained": False, "num_classes": 4, "in_chans": 1, "drop_rate": 0.1}),
        ("resnet18", {"weights": None, "num_classes": 4}),
    ]
    with pytest.raises(UsageError, match="take 3 channels, not 1"):
        open_network("torchvision:resnet18", features=(1, 32, 32), classes=4, options={})


@pytest.mark.parametrize("zoo", ["timm", "torchvision"])
def test_a_zoo_that_is_not_there_says_what_to_install(zoo, monkeypatch):
    monkeypatch.setitem(sys.modules, zoo, None)
    monkeypatch.setitem(sys.modules, f"{zoo}.models", None)
    with pytest.raises(UsageError, match=f"{zoo} cannot be imported[\\s\\S]*pip install {zoo}"):
        open_network(f"{zoo}:resnet18", features=(3, 32, 32), classes=2, options={})


def test_without_transformers_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UsageError, match=r"pip install .*\[networks\]"):
        open_network("resnet-18", features=(3, 32, 32), classes=2, options={})
