"""What ships is signed before it appears, and the device that checks it takes texts as the audit did."""

import base64
import json

import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper

import edgefair
from edgefair.errors import UsageError
from edgefair.measure.counts import GroupCounts
from edgefair.probe.bundles.runtime import BundleError, load
from edgefair.progress import Progress
from edgefair.workflow import export as workflow
from edgefair.workflow.models.vocabulary import load_to_judge
from tests.bundle.small_bundle import private_key, public_pem, write_key
from tests.data.pictures import make_tokenizer
from tests.e2e.commands import OF_COMMENTS, refused, run, write_comments

PUBLIC = public_pem(private_key())
LENGTH = 12


def counts_bad_words(path, vocabulary):
    """`yes` where the first 12 tokens of a text hold more of `bad` and `awful` than of `good` and `nice`."""
    scores = np.zeros((len(vocabulary), 2), dtype=np.float32)
    for word, column in (("bad", 1), ("awful", 1), ("good", 0), ("nice", 0)):
        scores[vocabulary[word], column] = 1
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["scores", "input_ids"], ["each"]),
            helper.make_node("ReduceSum", ["each", "axis"], ["logits"], keepdims=0),
        ],
        "words",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["n", LENGTH])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 2])],
        [numpy_helper.from_array(scores, "scores"), numpy_helper.from_array(np.array([1]), "axis")],
    )
    onnx.save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A project of comments, some longer than the model sees, and the model `words.onnx`."""
    for name in ("EDGEFAIR_SIGNING_KEY", "EDGEFAIR_SIGNING_PASSPHRASE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    make_tokenizer(tmp_path / "tok")
    vocabulary = json.loads((tmp_path / "tok/tokenizer.json").read_text())["model"]["vocab"]
    counts_bad_words(tmp_path / "words.onnx", vocabulary)
    write_comments(tmp_path, ["the", "a", "cat", "dog", "sat", "there", "very", "you", "they", "zebra"], 20)
    assert run("init", *OF_COMMENTS).exit_code == 0
    config = yaml.safe_load((tmp_path / "edgefair.yaml").read_text())
    config["policy"] |= {"max_eo_gap": 0.2, "max_accuracy_drop": None}
    config["model"]["output"] = {"kind": "logits"}
    (tmp_path / "edgefair.yaml").write_text(yaml.safe_dump(config))
    return tmp_path


def test_export_signs_what_ships_before_it_appears(here):
    key, out, seen = write_key(here / "edgefair.key"), here / "out", []

    def look(_done, _total, what):
        if what == "publishing":
            (folder,) = here.glob(".out.partial-*/bundle")
            seen.append((folder / "attestation.dsse.json").is_file())

    config = edgefair.load_config(here / "edgefair.yaml")
    report = edgefair.export(config, model="words.onnx", output=out, sign=key, latency=False, progress=Progress(look))
    assert seen == [True]
    (here / "edgefair.pub").write_bytes(PUBLIC)
    inspected = run("inspect", out, "--public-key", "edgefair.pub")
    assert json.loads(inspected.stdout)["outcome"] == "PASS"
    envelope = json.loads((out / "attestation.dsse.json").read_text())
    predicate = json.loads(base64.b64decode(envelope["payload"]))["predicate"]
    assert predicate["policy"]["digest"]["sha256"] == config.policy.digest
    assert [target["name"] for target in predicate["targets"]] == [item.target for item in report.targets]
    assert run("verify", out, "--no-latency").exit_code == 0
    assert load(out, PUBLIC).predict({"comment": ["you good cat", "bad bad dog"]}).decision == ["no", "yes"]


def test_a_later_export_without_a_key_leaves_no_old_signature(here):
    flags = ("words.onnx", "--no-latency", "-o", "out")
    assert run("export", *flags, "--sign", write_key(here / "edgefair.key")).exit_code == 0
    load(here / "out", PUBLIC)
    assert run("export", *flags).exit_code == 0
    with pytest.raises(BundleError, match="is not signed"):
        load(here / "out", PUBLIC)


def test_a_blocked_export_signs_nothing(here):
    key = write_key(here / "edgefair.key")
    assert run("export", "words.onnx", "--no-latency", "--max-eo-gap", "0.0001", "--sign", key).exit_code in {1, 3}
    assert list(here.rglob("*.blocked.json"))
    assert not list(here.rglob("attestation*"))


def test_a_key_that_cannot_sign_is_refused_before_anything_is_read(here, monkeypatch):
    def read(*_, **__):
        pytest.fail("rows were read")

    monkeypatch.setattr(workflow, "load_to_judge", read)
    key = write_key(here / "open.key", mode=0o644)
    assert "readable by other users" in refused(here, "export", "words.onnx", "--sign", key)
    monkeypatch.setenv("EDGEFAIR_SIGNING_KEY", "absent.key")
    assert "absent.key' cannot be read" in refused(here, "export", "words.onnx")
    with pytest.raises(UsageError, match="cannot be read"):
        edgefair.export(edgefair.load_config(here / "edgefair.yaml"), model="words.onnx", sign=here / "absent.key")


def test_a_device_decides_on_raw_texts_as_the_audit_did(here):
    done = run("export", "words.onnx", "--no-latency", "--json")
    assert done.exit_code == 0, done.output
    counts = GroupCounts.from_json(json.loads(done.stdout)["targets"][0]["counts"])
    audit = load_to_judge(edgefair.load_config(here / "edgefair.yaml")).audit
    texts = audit.table.columns["comment"].texts
    bundle = here / "dist/comments"
    decision = load(bundle).predict({"comment": [texts.values[code] for code in texts.codes]}).decision
    said = np.array([counts.classes.index(name) for name in decision])
    again = GroupCounts.from_rows(audit.sensitive, label=audit.label, decision=said, classes=counts.classes)
    assert np.array_equal(again.table, counts.table)
    assert counts.table[:, 1, 0].sum() > 5, "texts whose bad words were cut off are among them"
    (bundle / "tokenizer.json").unlink()
    with pytest.raises(BundleError, match=r"lacks 'tokenizer\.json'"):
        load(bundle)
