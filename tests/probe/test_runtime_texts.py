"""Raw texts on the device become the tokens that the audit fed, id by id."""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from edgefair.data.files.table import Categories
from edgefair.data.texts import Texts, open_tokenizer
from edgefair.measure.counts import GroupCounts
from edgefair.probe.bundles.runtime import BundleError, load
from edgefair.probe.inputs.texts import Cutter
from edgefair.probe.onnx_files.spec import SPEC_METADATA_KEY, InputSpec, ModelSpec, Reading
from tests.bundle.small_bundle import COUNTS, report_of, write_manifest
from tests.targets.onnx_models import save, value

ROOT = Path(__file__).parent.parent.parent
REAL = [
    line for name in ("README.md", "docs/verdict.md", "docs/data.md") for line in (ROOT / name).read_text().split("\n")
]
TEXTS = [
    *REAL,
    "",
    " ",
    "naïve café, Ελληνικά, русский, 中文字, العربية",
    "👩🏽‍🔬 wow!!\t\n\0",
    "word " * 300,
    "\ufeffé e\u0301",
]
LENGTH = 16


def word_piece():
    """As BERT's: lower case, [CLS] and [SEP] around."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    tokenizer.train_from_iterator(
        REAL, trainers.WordPieceTrainer(vocab_size=600, special_tokens=names, show_progress=False)
    )
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return tokenizer


def byte_pairs():
    """As RoBERTa's: bytes, and padding with an id that is not 0; it was saved with settings of its own."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    names = ["<s>", "</s>", "<pad>"]
    tokenizer.train_from_iterator(
        REAL, trainers.BpeTrainer(vocab_size=500, special_tokens=names, initial_alphabet=alphabet, show_progress=False)
    )
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 1), ("<s>", 0))
    tokenizer.enable_truncation(4, stride=1, direction="left")
    tokenizer.enable_padding(direction="left", pad_id=1, pad_token="</s>", pad_type_id=1, pad_to_multiple_of=7)
    return tokenizer


KINDS = {"word pieces": word_piece, "byte pairs": byte_pairs}


@pytest.fixture(params=KINDS)
def tokenizer(request, tmp_path):
    KINDS[request.param]().save(str(tmp_path / "tokenizer.json"))
    return open_tokenizer(tmp_path)


def inputs_of(tokenizer, *, column="comment", length=LENGTH):
    names = (("input_ids", "ids", "int64"), ("attention_mask", "mask", "int64"), ("token_type_ids", "types", "int32"))
    return tuple(
        InputSpec(name, dtype, tokens=tokenizer.spec(column=column, part=part, length=length))
        for name, part, dtype in names
    )


def on_the_host(tokenizer, inputs, texts):
    column = Texts(Categories(tuple(texts), np.arange(len(texts), dtype=np.int32)), tokenizer)
    return {item.name: column.encoder(item)(0, len(texts)) for item in inputs}


def same(found, expected):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        assert np.array_equal(found[name], array), name


@pytest.mark.parametrize("length", [3, LENGTH, 512])
def test_a_device_cuts_and_pads_real_texts_as_the_audit_did(tokenizer, length):
    texts = list(dict.fromkeys(TEXTS))
    inputs = inputs_of(tokenizer, length=length)
    expected = on_the_host(tokenizer, inputs, texts)
    lengths = expected["attention_mask"].sum(axis=1)
    assert lengths.min() < length, "some texts are padded"
    assert length > LENGTH or lengths.max() == length, "some texts are cut"
    cutter = Cutter(inputs, tokenizer.path.read_bytes())
    same(cutter.arrays({"comment": texts}), expected)
    same(cutter.arrays({"comment": np.array(texts, dtype=object)}), expected)
    one = cutter.arrays({"comment": texts[5:6]})
    same(one, {name: array[5:6] for name, array in expected.items()})
    assert cutter.arrays({"comment": []})["input_ids"].shape == (0, length)


def test_ready_tokens_are_taken_where_no_texts_are_given(tokenizer):
    inputs = inputs_of(tokenizer)
    ready = on_the_host(tokenizer, inputs, REAL[:5])
    for content in (tokenizer.path.read_bytes(), None):
        same(Cutter(inputs, content).arrays({name: array.tolist() for name, array in ready.items()}), ready)


def test_a_feature_that_has_the_name_of_the_graphs_input_is_a_text_or_an_array(tokenizer):
    (ids, *_) = inputs_of(tokenizer, column="input_ids")
    cutter = Cutter((ids,), tokenizer.path.read_bytes())
    expected = on_the_host(tokenizer, (ids,), REAL[:5])
    same(cutter.arrays({"input_ids": REAL[:5]}), expected)
    same(cutter.arrays({"input_ids": expected["input_ids"].astype(np.int32)}), expected)


@pytest.mark.parametrize(
    ("raw", "error", "message"),
    [
        ({"comment": "one text"}, ValueError, "is one str, not a list"),
        ({"comment": ["a", None]}, ValueError, "holds a NoneType"),
        ({"comment": [b"a"]}, ValueError, "holds a bytes"),
        ({"comment": ["\ud800"]}, ValueError, "cannot be tokenized"),
        ({"input_ids": [[1] * LENGTH]}, KeyError, "comment"),
        ({}, KeyError, "comment"),
    ],
)
def test_what_is_no_list_of_texts_is_refused(tokenizer, raw, error, message):
    cutter = Cutter(inputs_of(tokenizer), tokenizer.path.read_bytes())
    with pytest.raises(error, match=message):
        cutter.arrays(raw)


# In a bundle --------------------------------------------------------------------------------------------------------


def write_bundle(folder, tokenizer, *, shipped=True):
    """A model that says `long` of a text of at least eight tokens."""
    spec = ModelSpec(inputs_of(tokenizer)[1:2], Reading("decision", "label"), ("short", "long"))
    nodes = [
        helper.make_node("ReduceSum", ["attention_mask", "axis"], ["length"], keepdims=0),
        helper.make_node("GreaterOrEqual", ["length", "eight"], ["longer"]),
        helper.make_node("Cast", ["longer"], ["decision"], to=TensorProto.INT64),
    ]
    constants = [
        numpy_helper.from_array(np.array([1], dtype=np.int64), "axis"),
        numpy_helper.from_array(np.array(8, dtype=np.int64), "eight"),
    ]
    folder.mkdir(exist_ok=True)
    save(
        folder / "model.onnx",
        nodes,
        [value("attention_mask", TensorProto.INT64, ["n", LENGTH])],
        [value("decision", TensorProto.INT64, ["n"])],
        constants,
        {SPEC_METADATA_KEY: spec.to_json()},
    )
    if shipped:
        (folder / "tokenizer.json").write_bytes(tokenizer.path.read_bytes())
    counts = GroupCounts(COUNTS.attributes, COUNTS.groups, spec.classes, COUNTS.table)
    (folder / "report.json").write_text(json.dumps(report_of(folder / "model.onnx", counts=counts)))
    write_manifest(folder)
    return folder


def test_texts_are_decided_on_by_a_loaded_bundle(tmp_path, tokenizer):
    model = load(write_bundle(tmp_path / "b", tokenizer))
    assert model.predict(
        {"comment": ["a", "the model and the device decide on every one of these words"]}
    ).decision == [
        "short",
        "long",
    ]
    with pytest.raises(ValueError, match="feature 'comment' is missing"):
        model.predict({})


def test_a_bundle_without_a_tokenizer_takes_ready_tokens_only(tmp_path, tokenizer):
    model = load(write_bundle(tmp_path / "b", tokenizer, shipped=False))
    assert model.predict({"attention_mask": [[1] * LENGTH]}).decision == ["long"]
    with pytest.raises(ValueError, match=r"the bundle has no tokenizer\.json for the texts of 'comment'"):
        model.predict({"comment": ["a"]})


def test_without_tokenizers_the_device_takes_ready_tokens_and_says_what_to_install(tmp_path, tokenizer, monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    model = load(write_bundle(tmp_path / "b", tokenizer))
    assert model.predict({"attention_mask": [[0] * LENGTH]}).decision == ["short"]
    with pytest.raises(ImportError, match="pip install tokenizers"):
        model.predict({"comment": ["a"]})


def test_a_tokenizer_that_the_model_was_not_judged_with_or_that_cannot_be_read_is_refused(tmp_path, tokenizer):
    bundle = write_bundle(tmp_path / "b", tokenizer)
    content = json.loads((bundle / "tokenizer.json").read_text())
    (bundle / "tokenizer.json").write_text(json.dumps({**content, "truncation": None}, indent=3))
    write_manifest(bundle)
    with pytest.raises(BundleError, match="is not the one the model was judged with"):
        load(bundle)
    tokenizer.path.write_text("{}")
    broken = type(tokenizer)(tokenizer.path, hashlib.sha256(b"{}").hexdigest(), tokenizer.vocabulary, tokenizer.pad)
    with pytest.raises(BundleError, match=r"'tokenizer\.json' of .* cannot be used"):
        load(write_bundle(tmp_path / "c", broken))
