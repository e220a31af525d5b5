"""Folders as save_pretrained writes them: small networks with random weights that decide for either class."""

from dataclasses import dataclass

import numpy as np
import pytest
import tokenizers
import torch
import transformers as t
from packaging.version import Version

LABELS = {"id2label": {0: "no", 1: "yes"}, "label2id": {"no": 0, "yes": 1}}
SMALL = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
SIDE = {"height": 64, "width": 64}
WORDS = [f"word{number}" for number in range(20)]
# Beside transformers 5, and so without optimum, only the PyTorch that edgefair asks for exports these rightly.
FROM_TORCH_2_13 = {"bit", "deberta"}


def need_torch_for(name):
    """Skip where this PyTorch is older than edgefair's and cannot export a model."""
    old = Version(torch.__version__) < Version("2.13") and Version(t.__version__).major > 4
    if name in FROM_TORCH_2_13 and old:
        pytest.skip(f"'{name}' is exported by torch 2.13 or newer, and this is {torch.__version__}")


@dataclass(frozen=True)
class Pictures:
    """kind: of the classifier. config, processor: their makers. side: of the network's input."""

    kind: str
    config: dict
    processor: str
    sizes: dict
    side: int = 64

    def model(self):
        return made(self.kind, self.config)


def made(kind, config):
    head = kind.split("ForImage")[0].split("ForSequence")[0]
    model = getattr(t, kind)(getattr(t, f"{head}Config")(**config, **LABELS))
    with torch.no_grad():
        for module in model.modules():
            # As they are made, signals fade on their way through a network that was not trained.
            if isinstance(module, torch.nn.Linear | torch.nn.Conv2d):
                torch.nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
            elif isinstance(module, torch.nn.Embedding):
                torch.nn.init.normal_(module.weight)
            elif isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
                module.momentum = 1.0
    return model


VISION = {**SMALL, "image_size": 64, "patch_size": 16}
CENTRE = {"size": {"shortest_edge": 73}, "crop_size": SIDE}
STRETCHED = {"size": {"height": 73, "width": 75}, "crop_size": SIDE, "do_center_crop": True}
LEVIT = {
    "image_size": 64,
    "hidden_sizes": [16, 24, 32],
    "num_attention_heads": [2, 2, 2],
    "depths": [1, 1, 1],
    "key_dim": [8, 8, 8],
}
TEXT_PART = {**SMALL, "vocab_size": 50}
PICTURES = {
    "bit": Pictures(
        "BitForImageClassification",
        {"embedding_size": 16, "hidden_sizes": [32, 64], "depths": [1, 1], "num_groups": 8},
        "Bit",
        CENTRE,
    ),
    "clip": Pictures("CLIPForImageClassification", {"vision_config": VISION, "text_config": TEXT_PART}, "CLIP", CENTRE),
    "deit": Pictures("DeiTForImageClassification", VISION, "DeiT", STRETCHED),
    "deit with a teacher": Pictures("DeiTForImageClassificationWithTeacher", VISION, "DeiT", STRETCHED),
    "efficientnet": Pictures(
        "EfficientNetForImageClassification",
        {"image_size": 64, "width_coefficient": 0.25, "depth_coefficient": 0.25, "hidden_dim": 320},
        "EfficientNet",
        {"size": SIDE, "resample": 0},
    ),
    "levit": Pictures(
        "LevitForImageClassification", LEVIT, "Levit", {"size": {"shortest_edge": 64}, "crop_size": SIDE}
    ),
    "levit with a teacher": Pictures(
        "LevitForImageClassificationWithTeacher", LEVIT, "Levit", {"size": {"shortest_edge": 64}, "crop_size": SIDE}
    ),
    "mobilevit": Pictures(
        "MobileViTForImageClassification",
        {
            "image_size": 64,
            "hidden_sizes": [16, 24, 32],
            "neck_hidden_sizes": [8, 8, 16, 16, 24, 32, 64],
            "num_attention_heads": 2,
        },
        "MobileViT",
        CENTRE,
    ),
    "poolformer": Pictures(
        "PoolFormerForImageClassification",
        {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1]},
        "PoolFormer",
        {"size": {"shortest_edge": 64}, "crop_size": SIDE},
    ),
    "siglip": Pictures(
        "SiglipForImageClassification", {"vision_config": VISION, "text_config": TEXT_PART}, "Siglip", {"size": SIDE}
    ),
    "vit": Pictures(
        "ViTForImageClassification",
        {**SMALL, "image_size": 32, "patch_size": 8},
        "ViT",
        {"size": {"height": 32, "width": 32}},
        32,
    ),
}
RELATIVE = {
    "max_position_embeddings": 64,
    "relative_attention": True,
    "pos_att_type": ["p2c", "c2p"],
    "type_vocab_size": 0,
    "position_biased_input": False,
}
TEXTS = {
    "bert": ("BertForSequenceClassification", {**SMALL, "max_position_embeddings": 64}),
    "deberta": ("DebertaForSequenceClassification", {**SMALL, **RELATIVE}),
    "deberta-v2": ("DebertaV2ForSequenceClassification", {**SMALL, **RELATIVE, "position_buckets": 16}),
    "roberta": ("RobertaForSequenceClassification", {**SMALL, "max_position_embeddings": 64, "pad_token_id": 0}),
    "xlnet": ("XLNetForSequenceClassification", {"d_model": 32, "n_layer": 1, "n_head": 2, "d_inner": 64}),
}


def save_pictures(folder, name):
    """A picture classifier and its processor; batch norms have seen data."""
    zoo = PICTURES[name]
    torch.manual_seed(0)
    model = zoo.model()
    pixels = torch.randn(32, 3, zoo.side, zoo.side)
    with torch.no_grad():
        model.train()(pixel_values=pixels)
    lively(model, pixel_values=pixels)
    model.save_pretrained(folder)
    processor = getattr(t, f"{zoo.processor}ImageProcessorPil", None) or getattr(t, f"{zoo.processor}ImageProcessor")
    processor(**zoo.sizes).save_pretrained(folder)


def save_texts(folder, name):
    """A text classifier and its tokenizer."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    tokenizer.train_from_iterator(WORDS, tokenizers.trainers.WordLevelTrainer(special_tokens=special))
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    t.PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=60, **names).save_pretrained(folder)
    torch.manual_seed(0)
    kind, config = TEXTS[name]
    model = made(kind, {**config, "vocab_size": len(WORDS) + len(special)})
    lively(model, input_ids=torch.randint(4, len(WORDS), (32, 9)))
    model.save_pretrained(folder)


def lively(model, **inputs):
    """Let the last layers of a random network decide for either class."""
    seen = {}
    heads = [m for m in model.modules() if isinstance(m, torch.nn.Linear) and m.out_features == len(LABELS["id2label"])]
    hooks = [head.register_forward_hook(lambda head, _, out: seen.update({head: out})) for head in heads]
    with torch.no_grad():
        model.eval()(**inputs)
        for head in heads:
            head.weight /= seen[head].std(dim=0, keepdim=True).T
        model(**inputs)
        for head in heads:
            head.bias -= seen[head].median(dim=0).values
    for hook in hooks:
        hook.remove()


def some_texts(count):
    rng = np.random.default_rng(0)
    return [" ".join(rng.choice(WORDS, int(rng.integers(1, 20)))) for _ in range(count)]


def some_pictures(count):
    """PIL pictures of any sides, smooth and coarse."""
    from PIL import Image

    rng = np.random.default_rng(0)
    found = []
    for _ in range(count):
        coarse = rng.integers(0, 256, (int(rng.integers(2, 9)),) * 2 + (3,), dtype=np.uint8)
        found.append(Image.fromarray(coarse).resize((int(rng.integers(66, 120)), int(rng.integers(66, 120)))))
    return found
