import json
import os
import shutil
import socket
import sys

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

from edgefair.errors import ModelError, UsageError
from edgefair.exporters.hub_pictures import PictureSettings
from edgefair.exporters.hugging_face import from_hugging_face
from edgefair.installed import command_for

transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")
pytest.importorskip("optimum.exporters.onnx")

LABELS = {0: "cat", 1: "dog", 2: "bird"}
SENTENCES = ["the cat sat on the mat", "a dog barks", "birds sing in the morning", "the dog and the cat"]
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 37}


def by_pillow(kind):
    """A processor that works with Pillow, as edgefair does: transformers 5 gave it a name of its own.

    torchvision's, which it prefers, rounds a value otherwise, has no Lanczos filter and takes another nearest pixel.
    """
    return getattr(transformers, f"{kind}ImageProcessorPil", None) or getattr(transformers, f"{kind}ImageProcessor")


def mobilenet():
    config = transformers.MobileNetV2Config(image_size=64, depth_multiplier=0.25, id2label=LABELS)
    size = {"size": {"shortest_edge": 73}, "crop_size": {"height": 64, "width": 64}}
    return transformers.MobileNetV2ForImageClassification(config), by_pillow("MobileNetV2")(**size)


def resnet():
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", id2label=LABELS
    )
    size = {"size": {"shortest_edge": 56}, "crop_pct": 0.875}
    return transformers.ResNetForImageClassification(config), by_pillow("ConvNext")(**size)


def vit():
    config = transformers.ViTConfig(image_size=32, patch_size=8, id2label=LABELS, **SMALL)
    size = {"size": {"height": 32, "width": 32}}
    return transformers.ViTForImageClassification(config), by_pillow("ViT")(**size)


PICTURES = {"mobilenet": mobilenet, "resnet": resnet, "vit": vit}


def bert():
    return transformers.BertForSequenceClassification(
        transformers.BertConfig(vocab_size=40, max_position_embeddings=24, id2label=LABELS, **SMALL)
    )


def distilbert():
    return transformers.DistilBertForSequenceClassification(
        transformers.DistilBertConfig(
            vocab_size=40, max_position_embeddings=24, dim=32, n_layers=2, n_heads=2, hidden_dim=37, id2label=LABELS
        )
    )


def roberta():
    return transformers.RobertaForSequenceClassification(
        transformers.RobertaConfig(
            vocab_size=40,
            max_position_embeddings=24,
            pad_token_id=1,
            type_vocab_size=1,
            id2label=LABELS,
            **SMALL,
        )
    )


TEXTS = {"bert": bert, "distilbert": distilbert, "roberta": roberta}


def save_text(folder, model, **settings):
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.train_from_iterator(
        SENTENCES, tokenizers.trainers.WordLevelTrainer(special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    )
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        **settings,
    )
    model.save_pretrained(folder)
    fast.save_pretrained(folder)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Small models with random weights; batch norms that have seen data."""
    root = tmp_path_factory.mktemp("hub")
    torch.manual_seed(0)
    for name, make in PICTURES.items():
        model, processor = make()
        with torch.no_grad():
            model.train()(torch.rand(4, 3, 64, 64) if name != "vit" else torch.rand(4, 3, 32, 32))
        model.save_pretrained(root / name)
        processor.save_pretrained(root / name)
    for name, make in TEXTS.items():
        save_text(root / name, make())
    return root


@pytest.fixture(scope="module")
def converted(folders):
    return {name: from_hugging_face(folders / name) for name in (*PICTURES, *TEXTS)}


@pytest.fixture
def copied(folders, tmp_path):
    def copy(name):
        return shutil.copytree(folders / name, tmp_path / name)

    return copy


def rewrite(path, **changes):
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def run(model, inputs):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(["logits"], {name: value.numpy() for name, value in inputs.items()})[0]


def difference(found, model, inputs):
    with torch.no_grad():
        return np.abs(found - model(**inputs).logits.numpy()).max()


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_model_gives_torchs_logits(folders, converted, name, rows):
    hub = converted[name]
    assert (hub.task, hub.labels) == ("image-classification", ("cat", "dog", "bird"))
    assert (hub.tokenizer, hub.length) == (None, None)
    (graph_input,) = hub.model.graph.input
    dims = graph_input.type.tensor_type.shape.dim
    assert graph_input.name == "pixel_values"
    assert dims[0].dim_param
    assert [dim.dim_value for dim in dims[1:]] == [3, hub.picture.height, hub.picture.width]
    model = transformers.AutoModelForImageClassification.from_pretrained(folders / name).eval()
    generator = torch.Generator().manual_seed(rows)
    inputs = {"pixel_values": torch.rand(rows, 3, hub.picture.height, hub.picture.width, generator=generator)}
    assert difference(run(hub.model, inputs), model, inputs) < 1e-4


@pytest.mark.parametrize("length", [4, 11])
@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("name", TEXTS)
def test_a_text_model_gives_torchs_logits_with_padding(folders, converted, name, rows, length):
    hub = converted[name]
    assert (hub.task, hub.labels, hub.picture) == ("text-classification", ("cat", "dog", "bird"), None)
    assert hub.tokenizer == folders / name / "tokenizer.json"
    names = [item.name for item in hub.model.graph.input]
    assert set(names) == {"input_ids", "attention_mask"} | ({"token_type_ids"} if name == "bert" else set())
    for item in hub.model.graph.input:
        assert all(dim.dim_param for dim in item.type.tensor_type.shape.dim)
    encoder = tokenizers.Tokenizer.from_file(str(hub.tokenizer))
    encoder.enable_padding(length=length)
    encoder.enable_truncation(length)
    encodings = encoder.encode_batch(SENTENCES[:rows])
    inputs = {
        "input_ids": torch.tensor([item.ids for item in encodings]),
        "attention_mask": torch.tensor([item.attention_mask for item in encodings]),
        "token_type_ids": torch.tensor([item.type_ids for item in encodings]),
    }
    inputs = {key: value for key, value in inputs.items() if key in names}
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folders / name).eval()
    assert difference(run(hub.model, inputs), model, inputs) < 1e-4


def test_the_length_is_what_the_model_and_the_tokenizer_take(converted, tmp_path):
    assert {name: converted[name].length for name in TEXTS} == {"bert": 24, "distilbert": 24, "roberta": 22}
    save_text(tmp_path, distilbert(), model_max_length=16)
    assert from_hugging_face(tmp_path).length == 16


def prepared(picture, settings):
    """The settings carried out with Pillow."""
    if settings.stretched is not None:
        height, width = settings.stretched
    elif settings.shorter is None:
        width, height = settings.width, settings.height
    else:
        short = min(picture.size)
        width, height = (side * settings.shorter // short for side in picture.size)
    picture = picture.resize((width, height), getattr(Image.Resampling, settings.resample.upper()))
    left, top = (width - settings.width) // 2, (height - settings.height) // 2
    values = np.asarray(picture.crop((left, top, left + settings.width, top + settings.height)), dtype=np.float32)
    return ((values / 255 - np.array(settings.mean)) / np.array(settings.std)).transpose(2, 0, 1)


PROCESSORS = {
    "mobilenet": lambda: mobilenet()[1],
    "resnet": lambda: resnet()[1],
    "vit": lambda: vit()[1],
    "ConvNext from 384 on": lambda: by_pillow("ConvNext")(size={"shortest_edge": 384}),
    "CLIP": lambda: by_pillow("CLIP")(),
    "Beit": lambda: by_pillow("Beit")(size={"height": 48, "width": 56}, do_center_crop=False),
    "not normalised": lambda: by_pillow("ViT")(do_normalize=False, resample=1),
    "not rescaled": lambda: by_pillow("ViT")(do_rescale=False, image_mean=[120.0] * 3, image_std=[60.0] * 3),
    "to -1 to 1": lambda: by_pillow("ViT")(rescale_factor=1 / 127.5, image_mean=[1.0] * 3, resample=2),
    "DeiT": lambda: by_pillow("DeiT")(),
    "DeiT, another centre": lambda: by_pillow("DeiT")(
        size={"height": 60, "width": 51}, crop_size={"height": 48, "width": 50}, resample=3
    ),
    "EfficientNet": lambda: by_pillow("EfficientNet")(size={"height": 50, "width": 61}, resample=0),
    "EfficientNet, not for its top": lambda: by_pillow("EfficientNet")(
        include_top=False, rescale_offset=True, rescale_factor=1 / 127.5, resample=3
    ),
    "LeViT": lambda: by_pillow("Levit")(size={"shortest_edge": 65}, crop_size={"height": 60, "width": 64}),
    "PoolFormer": lambda: by_pillow("PoolFormer")(),
    "PoolFormer, two sides": lambda: by_pillow("PoolFormer")(
        size={"height": 50, "width": 60}, crop_size={"height": 50, "width": 56}
    ),
    "MobileViT in RGB": lambda: by_pillow("MobileViT")(
        size={"shortest_edge": 60}, crop_size={"height": 56, "width": 52}, do_flip_channel_order=False
    ),
}


@pytest.mark.parametrize("name", PROCESSORS)
@pytest.mark.parametrize("shape", [(90, 131), (140, 80)])
def test_the_picture_settings_do_what_the_processor_does(copied, name, shape):
    processor = PROCESSORS[name]()
    # ResNet takes pictures of any size.
    folder = copied("resnet")
    processor.save_pretrained(folder)
    settings = from_hugging_face(folder).picture
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8))
    expected = processor(picture, return_tensors="np")["pixel_values"][0]
    assert np.abs(prepared(picture, settings) - expected).max() < 1e-5


def test_old_names_and_a_size_as_one_number_are_understood(copied):
    folder = copied("vit")
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"feature_extractor_type": "ViTFeatureExtractor", "size": 32, "image_std": [0.5, 0.25, 0.5]})
    )
    assert from_hugging_face(folder).picture == PictureSettings(
        height=32, width=32, channels=3, mean=(0.5,) * 3, std=(0.5, 0.25, 0.5), resample="bilinear", shorter=None
    )


@pytest.mark.parametrize(
    ("name", "key", "changes"),
    [
        ("vit", "image_processor_type", {"image_processor_type": "SegformerImageProcessor"}),
        ("vit", "do_resize", {"do_resize": False}),
        ("vit", "rescale_factor", {"rescale_factor": 0}),
        ("vit", "do_center_crop", {"do_center_crop": True, "crop_size": {"height": 24, "width": 24}}),
        ("vit", "resample", {"resample": 9}),
        ("vit", "image_mean", {"image_mean": [0.5, 0.5]}),
        ("vit", "do_flip_channel_order", {"do_flip_channel_order": True}),
        ("mobilenet", "crop_size", {"crop_size": {"height": 90, "width": 64}}),
        ("mobilenet", "size", {"do_center_crop": False}),
        ("mobilenet", "crop_size", {"size": {"height": 70, "width": 60}}),
        ("vit", "include_top", {"include_top": True}),
        ("vit", "rescale_offset", {"rescale_offset": True}),
    ],
)
def test_preprocessing_that_the_settings_cannot_express_is_refused_by_key(copied, name, key, changes):
    folder = copied(name)
    rewrite(folder / "preprocessor_config.json", **changes)
    with pytest.raises(ModelError, match=f"says {key}: "):
        from_hugging_face(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architectures": ["ViTForMaskedImageModeling"]}, "ViTForMaskedImageModeling"),
        ({"architectures": None}, "architecture"),
        ({"auto_map": {"AutoModelForImageClassification": "modeling.Net"}}, "auto_map"),
        ({"quantization_config": {"bits": 8}}, "quantization_config"),
        ({"problem_type": "multi_label_classification"}, "multi_label"),
        ({"id2label": {"0": "cat", "1": "cat", "2": "dog"}}, "id2label"),
        ({"model_type": "no-such-model"}, "cannot be loaded"),
        (
            {"hidden_size": 64},
            r"37 weights in '.*' do not fit its config\.json: classifier\.weight, of which it needs \[3, 64\]",
        ),
    ],
)
def test_models_that_are_not_supported_are_refused(copied, changes, message):
    folder = copied("vit")
    rewrite(folder / "config.json", **changes)
    with pytest.raises(ModelError, match=message):
        from_hugging_face(folder)


@pytest.mark.parametrize(
    ("name", "file", "message"),
    [
        ("vit", "config.json", "no file .*config.json"),
        ("vit", "model.safetensors", "no model.safetensors"),
        ("vit", "preprocessor_config.json", "no file .*preprocessor_config.json"),
        ("bert", "tokenizer.json", "no file .*tokenizer.json"),
    ],
)
def test_a_missing_file_is_named(copied, name, file, message):
    folder = copied(name)
    (folder / file).unlink()
    with pytest.raises(ModelError, match=message):
        from_hugging_face(folder)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("vit", "config.json"),
        ("vit", "model.safetensors"),
        ("vit", "preprocessor_config.json"),
        ("bert", "tokenizer.json"),
    ],
)
def test_a_cut_file_is_refused(copied, name, file):
    folder = copied(name)
    data = (folder / file).read_bytes()
    (folder / file).write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelError):
        from_hugging_face(folder)


def test_pickled_weights_are_refused_and_never_loaded(copied):
    class Payload:
        def __reduce__(self):
            return os.mkdir, (str(folder / "ran"),)

    folder = copied("vit")
    (folder / "model.safetensors").unlink()
    torch.save({"weight": Payload()}, folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="pickled") as caught:
        from_hugging_face(folder)
    assert "safe_serialization=True" in caught.value.fix
    assert not (folder / "ran").exists()


def test_weights_without_the_head_are_refused_because_transformers_would_draw_it_at_random(copied):
    folder = copied("bert")
    bert().bert.save_pretrained(folder)
    rewrite(folder / "config.json", architectures=["BertForSequenceClassification"], id2label=LABELS)
    with pytest.raises(ModelError, match=r"lacks weights: classifier"):
        from_hugging_face(folder)


def test_a_tokenizer_of_a_larger_vocabulary_is_refused(folders, copied):
    folder = copied("bert")
    config = transformers.BertConfig(vocab_size=5, max_position_embeddings=24, id2label=LABELS, **SMALL)
    transformers.BertForSequenceClassification(config).save_pretrained(folder)
    with pytest.raises(ModelError, match="the model has only 5"):
        from_hugging_face(folder)


def test_half_precision_weights_become_fp32(copied):
    folder = copied("distilbert")
    distilbert().half().save_pretrained(folder)
    assert json.loads((folder / "config.json").read_text())["dtype"] == "float16"
    model = from_hugging_face(folder).model
    (logits,) = model.graph.output
    assert logits.type.tensor_type.elem_type == 1


def test_nothing_is_printed_nothing_is_fetched_and_no_path_is_left(folders, monkeypatch, capfd):
    def refuse(*_):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    before = dict(os.environ)
    first, second = (from_hugging_face(folders / "resnet").model.SerializeToString() for _ in range(2))
    assert capfd.readouterr() == ("", "")
    assert dict(os.environ) == before
    assert first == second
    assert str(folders).encode() not in first


def test_without_transformers_the_extra_is_named(folders, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UsageError) as caught:
        from_hugging_face(folders / "vit")
    assert caught.value.fix == command_for("networks")


def test_a_graph_that_differs_from_the_model_is_refused(folders, monkeypatch):
    monkeypatch.setattr("edgefair.exporters.hub_graphs.TOLERANCE", 0.0)
    with pytest.raises(ModelError, match="does not give the model's logits"):
        from_hugging_face(folders / "vit")
