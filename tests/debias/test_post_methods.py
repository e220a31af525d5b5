"""`threshold` and `last-layer` on real graphs that the real runtime executes."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from fairlearn.postprocessing import ThresholdOptimizer
from sklearn.base import BaseEstimator
from sklearn.metrics import balanced_accuracy_score

from edgefair.compress.quantization.calibrate import calibrate
from edgefair.compress.quantization.dynamic import quantize_dynamic
from edgefair.compress.quantization.prepare import prepare_graph
from edgefair.compress.quantization.recipe import open_recipe
from edgefair.compress.quantization.static import quantize_static
from edgefair.data.files.table import Categories
from edgefair.debias import open_post_method
from edgefair.debias.last_layer import LastLayer
from edgefair.debias.post import Judge
from edgefair.debias.threshold import Threshold
from edgefair.decision.policy import Policy
from edgefair.errors import DataError, ModelError, PolicyError, UsageError
from edgefair.measure.counts import GroupCounts
from edgefair.probe.onnx_files.reading import read_decisions
from edgefair.probe.onnx_files.spec import SPEC_METADATA_KEY, Column, InputSpec, ModelSpec, Reading
from edgefair.training.selection import standing

HEAD = '<ir_version: 10, opset_import: ["" : 20]>'


def spec_of(kind, *, classes=2, output="out", threshold=None, score=None, inputs=None):
    inputs = inputs or (InputSpec("x", "float32", (Column("a"), Column("b"))),)
    names = tuple(f"y{index}" for index in range(classes))
    return ModelSpec(inputs, Reading(output, kind, threshold, score), names)


def judge_of(label, group, *, classes=2, gap=0.2, floor=0.5, model_inputs=()):
    names = tuple(f"y{index}" for index in range(classes))
    groups = tuple(f"g{index}" for index in range(int(group.max()) + 1))
    policy = Policy(attributes={"s": {"groups": groups}}, max_eo_gap=gap, min_balanced_accuracy=floor)

    def standing_of(decision, rows=None):
        at = np.arange(len(label)) if rows is None else rows
        s = Categories(groups, group[at].astype(np.int32))
        counts = GroupCounts.from_rows({"s": s}, label=label[at], decision=decision, classes=names)
        return standing(counts, policy, aim=0.5)

    return Judge(
        cells=tuple(f"group '{s}' and label '{y}'" for s in groups for y in names),
        cell=group * classes + label,
        label=label,
        attributes={"s": np.array(groups)[group]},
        model_inputs=model_inputs,
        worth=standing_of,
        chance=1 / classes if floor is None else None,
        seed=0,
    )


def run(model, names, feeds):
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(list(names), feeds)


def answers_on(feeds):
    return lambda model, names: run(model, names, feeds)


def decided(model, spec, feeds):
    outputs = [spec.reading.output, *([spec.reading.score] if spec.reading.score else [])]
    found = dict(zip(outputs, run(model, outputs, feeds), strict=True))
    assert {item.key: item.value for item in model.metadata_props}[SPEC_METADATA_KEY] == spec.to_json()
    return read_decisions(found, spec.reading, len(spec.classes))[0]


# P(y1) is the sigmoid of `a`, read off each kind of output.
BINARY = {
    "logit": ("out = Gather<axis=1>(x, at0)", "float[n] out"),
    "probability": ("z = Slice(x, s0, s1, s1) out = Sigmoid(z)", "float[n,1] out"),
    "logits": ("z = Slice(x, s0, s1, s1) m = Mul(z, zero) out = Concat<axis=1>(m, z)", "float[n,2] out"),
    "probabilities": (
        "z = Slice(x, s0, s1, s1) m = Mul(z, zero) l = Concat<axis=1>(m, z) out = Softmax<axis=1>(l)",
        "float[n,2] out",
    ),
    "label": (
        "z = Slice(x, s0, s1, s1) m = Mul(z, zero) l = Concat<axis=1>(m, z) score = Softmax<axis=1>(l)"
        " out = ArgMax<axis=1, keepdims=0>(l)",
        "int64[n] out, float[n,2] score",
    ),
}


def binary_graph(kind):
    body, outputs = BINARY[kind]
    constants = "at0 = Constant<value = int64 {0}>() s0 = Constant<value = int64[1] {0}>()"
    constants += " s1 = Constant<value = int64[1] {1}>() zero = Constant<value = float {0}>()"
    return onnx.parser.parse_model(f"{HEAD} g (float[n,2] x) => ({outputs}) {{ {constants} {body} }}")


@pytest.fixture
def biased():
    """Group g1 gets scores that are 1 too low: at 0.5 its positives are missed."""
    rng = np.random.default_rng(0)
    group, label = rng.integers(0, 2, 220), rng.integers(0, 2, 220)
    a = (2.5 * label - 0.5 - 1.0 * group + rng.normal(size=220)).astype(np.float32)
    return {"x": np.stack([a, np.zeros_like(a)], axis=1)}, label, group


@pytest.mark.parametrize("kind", BINARY)
def test_one_threshold_is_the_best_of_all_and_lies_in_the_graph(kind, biased):
    feeds, label, group = biased
    judge = judge_of(label, group)
    spec = spec_of(kind, score="score" if kind == "label" else None)
    model, new, chosen = Threshold().apply(binary_graph(kind), spec, answers_on(feeds), judge)
    score = 1 / (1 + np.exp(-feeds["x"][:, 0].astype(np.float64)))
    best = max(judge.worth((score >= at).astype(np.int64)).rank for at in [*score, 0.5, 2.0])
    assert judge.worth(decided(model, new, feeds)).rank == best > judge.worth((score >= 0.5).astype(np.int64)).rank
    assert new.reading == Reading("decision", "label", chosen["threshold"], "score")
    assert [item.name for item in model.graph.input] == ["x"]


@pytest.mark.parametrize("classes", [2, 3])
def test_without_a_floor_a_gap_is_not_bought_by_deciding_one_class_for_everybody(classes):
    """No threshold serves both groups alike: the narrowest gap is where nearly nobody is found."""
    rng = np.random.default_rng(0)
    label, group = rng.integers(0, classes, 600), np.arange(600) % 2
    logits = (1.5 * np.eye(classes)[label] + rng.normal(size=(600, classes))).astype(np.float32)
    logits[group == 1, 0] += 1.5
    logits *= np.float32(0.4)
    graph = onnx.parser.parse_model(
        f"{HEAD} g (float[n,{classes}] x) => (float[n,{classes}] out) {{ out = Identity(x) }}"
    )
    inputs = (InputSpec("x", "float32", tuple(Column(name) for name in "abc"[:classes])),)
    spec = spec_of("logits", classes=classes, inputs=inputs)
    judge = judge_of(label, group, classes=classes, gap=0.05, floor=None)
    model, new, _ = Threshold().apply(graph, spec, answers_on({"x": logits}), judge)
    kept = judge.worth(decided(model, new, {"x": logits})).worst_group - 1 / classes
    assert kept >= 0.5 * (judge.worth(logits.argmax(1)).worst_group - 1 / classes) > 0.1
    told = judge_of(label, group, classes=classes, gap=0.05, floor=1 / classes)
    model, new, _ = Threshold().apply(graph, spec, answers_on({"x": logits}), told)
    assert told.worth(decided(model, new, {"x": logits})).worst_group - 1 / classes < 0.05, (
        "the policy's own floor is kept as it is"
    )


def test_a_model_that_gives_labels_only_has_no_threshold_to_move(biased):
    feeds, label, group = biased
    with pytest.raises(ModelError, match="gives labels and no probabilities"):
        Threshold().apply(binary_graph("label"), spec_of("label"), answers_on(feeds), judge_of(label, group))


def test_more_classes_get_one_factor_each():
    rng = np.random.default_rng(0)
    label, group = rng.integers(0, 3, 600), rng.integers(0, 2, 600)
    logits = (np.eye(3)[label] * 2 + [1.9, 0.0, -0.5] + 0.05 * rng.normal(size=(600, 3))).astype(np.float32)
    graph = onnx.parser.parse_model(f"{HEAD} g (float[n,3] x) => (float[n,3] out) {{ out = Identity(x) }}")
    inputs = (InputSpec("x", "float32", tuple(Column(name) for name in "abc")),)
    judge = judge_of(label, group, classes=3)
    feeds = {"x": logits}
    spec = spec_of("logits", classes=3, inputs=inputs)
    model, new, chosen = Threshold().apply(graph, spec, answers_on(feeds), judge)
    assert (logits.argmax(1) == label).mean() < 0.9
    assert (decided(model, new, feeds) == label).all()
    assert chosen["factors"][0] < 1


GROUPED = (
    InputSpec("x", "float32", (Column("a"), Column("b"))),
    InputSpec("codes", "int32", (Column("job", ("cook", "pilot")), Column("s", ("g0", "g1", "g2")))),
)


def grouped_graph():
    body = "z = Slice(x, s0, s1, s1) c = Cast<to=1>(codes) d = Slice(c, s0, s1, s1) e = Mul(d, zero)"
    body += " f = Add(z, e) out = Sigmoid(f)"
    constants = "s0 = Constant<value = int64[1] {0}>() s1 = Constant<value = int64[1] {1}>()"
    constants += " zero = Constant<value = float {0}>()"
    return onnx.parser.parse_model(
        f"{HEAD} g (float[n,2] x, int32[n,2] codes) => (float[n,1] out) {{ {constants} {body} }}"
    )


def test_thresholds_by_group_do_as_well_as_fairlearns_randomized_ones():
    """fairlearn draws its decisions at random to reach a gap of 0; a device must repeat its decisions."""
    rng = np.random.default_rng(1)
    group, label = rng.integers(0, 2, 4000), rng.integers(0, 2, 4000)
    a = (2.0 * label - 1.0 - 1.2 * group + rng.normal(size=4000)).astype(np.float32)
    feeds = {
        "x": np.stack([a, np.zeros_like(a)], axis=1),
        "codes": np.stack([np.zeros(4000, np.int32), group.astype(np.int32)], axis=1),
    }
    judge = judge_of(label, group, gap=0.04, model_inputs=("s",))
    spec = spec_of("probability", inputs=GROUPED)
    model, new, chosen = Threshold(by="s").apply(grouped_graph(), spec, answers_on(feeds), judge)
    ours = decided(model, new, feeds)

    class Scores(BaseEstimator):
        fitted_ = True

        def fit(self, x, y):
            return self

        def predict(self, x):
            return 1 / (1 + np.exp(-x[:, 0].astype(np.float64)))

    reference = ThresholdOptimizer(
        estimator=Scores(),
        constraints="equalized_odds",
        objective="balanced_accuracy_score",
        prefit=True,
        predict_method="predict",
    ).fit(feeds["x"], label, sensitive_features=group)
    theirs = reference._pmf_predict(feeds["x"], sensitive_features=group)[:, 1]
    balanced = np.mean([theirs[label == 1].mean(), 1 - theirs[label == 0].mean()])
    assert balanced_accuracy_score(label, ours) >= balanced - 0.005
    for y in (0, 1):
        rates = [ours[(label == y) & (group == s)].mean() for s in (0, 1)]
        assert abs(rates[0] - rates[1]) <= 0.02 + 1e-9
    blind, new_blind, _ = Threshold().apply(grouped_graph(), spec, answers_on(feeds), judge)
    assert judge.worth(ours).rank > judge.worth(decided(blind, new_blind, feeds)).rank
    unseen = {"x": feeds["x"], "codes": np.full_like(feeds["codes"], -1)}
    assert (decided(model, new, unseen) == (1 / (1 + np.exp(-a)) >= chosen["threshold"])).all()


def test_thresholds_by_group_need_the_policys_word_and_the_attribute_in_the_graph(biased):
    feeds, label, group = biased
    spec = spec_of("logit")
    graph = binary_graph("logit")
    with pytest.raises(PolicyError, match="does not declare 's' a model input"):
        Threshold(by="s").apply(graph, spec, answers_on(feeds), judge_of(label, group))
    judge = judge_of(label, group, model_inputs=("s",))
    with pytest.raises(DataError, match="the model does not read 's'"):
        Threshold(by="s").apply(graph, spec, answers_on(feeds), judge)
    few = judge_of(label, np.where(np.arange(len(group)) < 5, 1, 0), model_inputs=("s",))
    codes = {**feeds, "codes": np.zeros((len(label), 2), np.int32)}
    with pytest.raises(DataError, match="only 1 groups of 's' have 50 validation rows"):
        Threshold(by="s").apply(grouped_graph(), spec_of("probability", inputs=GROUPED), answers_on(codes), few)


def spurious(classes=2, rows=4000):
    """A core feature tells the label; a louder one tells the group, which goes with the label in 9 of 10 rows."""
    rng = np.random.default_rng(2)
    label = rng.integers(0, classes, rows)
    group = np.where(rng.random(rows) < 0.9, label % 2, 1 - label % 2)
    x = rng.normal(size=(rows, classes + 1)).astype(np.float32) * 0.6
    x[np.arange(rows), label] += 2.0
    x[:, classes] += 4.0 * group - 2.0
    return x, label, group


def two_layers(classes):
    """x -> ReLU features [x, -x] -> logits that listen to the group's feature most."""
    into = classes + 1
    first = np.concatenate([np.eye(into), -np.eye(into)]).astype(np.float32)
    last = np.zeros((classes, 2 * into), np.float32)
    last[np.arange(classes), np.arange(classes)] = 1.0
    for k in range(classes):
        last[k, classes if k % 2 else into + classes] = 1.5
    graph = onnx.helper.make_graph(
        [
            onnx.helper.make_node("Gemm", ["x", "w1", "b1"], ["h"], transB=1),
            onnx.helper.make_node("Relu", ["h"], ["features"]),
            onnx.helper.make_node("Gemm", ["features", "w2", "b2"], ["logits"], transB=1),
            onnx.helper.make_node("Softmax", ["logits"], ["score"], axis=1),
        ],
        "g",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", into])],
        [onnx.helper.make_tensor_value_info("score", onnx.TensorProto.FLOAT, ["n", classes])],
        [
            onnx.numpy_helper.from_array(value, name)
            for name, value in (
                ("w1", first),
                ("b1", np.zeros(2 * into, np.float32)),
                ("w2", last),
                ("b2", np.zeros(classes, np.float32)),
            )
        ],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)
    columns = tuple(Column(f"c{index}") for index in range(into))
    spec = spec_of(
        "probabilities", classes=classes, output="score", inputs=(InputSpec("x", "float32", columns),), threshold=None
    )
    return model, spec


def worst_cell(decision, label, group):
    return min((decision[(label == y) & (group == s)] == y).mean() for y in np.unique(label) for s in (0, 1))


@pytest.mark.parametrize("int8", [None, "static", "dynamic"])
@pytest.mark.parametrize("classes", [2, 3])
def test_a_new_last_layer_stops_listening_to_the_group(classes, int8):
    x, label, group = spurious(classes)
    model, spec = two_layers(classes)
    if int8 == "static":
        prepared = prepare_graph(model)
        ranges = calibrate(prepared, [{"x": x[:512]}], method="minmax")
        model = quantize_static(prepared, ranges, open_recipe("int8-random"))
    if int8 == "dynamic":
        model = quantize_dynamic(model, reduce_range=False)
    feeds = {"x": x}
    before = run(model, ["score"], feeds)[0].argmax(1)
    judge = judge_of(label, group, classes=classes, gap=0.5)
    new, new_spec, chosen = LastLayer(fits=3).apply(model, spec, answers_on(feeds), judge)
    after = decided(new, new_spec, feeds)
    assert worst_cell(before, label, group) < 0.6
    assert worst_cell(after, label, group) > 0.75
    assert chosen["C"] in (1.0, 0.7, 0.3, 0.1, 0.07, 0.03, 0.01)
    assert len([node for node in new.graph.node if node.op_type in {"Gemm", "MatMul", "MatMulInteger"}]) == 2
    assert "w2" not in {item.name for item in new.graph.initializer}


def test_the_old_layer_stays_where_a_new_one_is_not_better():
    x, label, group = spurious()
    model, spec = two_layers(2)
    sharp = np.zeros((2, 6), np.float32)
    sharp[0, 0], sharp[1, 1] = 10, 10
    model.graph.initializer[2].CopyFrom(onnx.numpy_helper.from_array(sharp, "w2"))
    judge = judge_of(label, group)
    perfect = replace(judge, worth=lambda decision, rows=None: SimpleNamespace(rank=(2, 0.9), worst_group=0.9))
    new, new_spec, chosen = LastLayer(fits=1).apply(model, spec, answers_on({"x": x}), perfect)
    assert (new, new_spec) == (model, spec)
    assert chosen["kept"] == "old"


def test_the_last_layer_says_which_cell_is_too_small():
    x, label, group = spurious(rows=60)
    group[:] = 0
    group[:3] = 1
    model, spec = two_layers(2)
    with pytest.raises(DataError, match=r"the validation rows hold \d rows of group 'g1' and label 'y"):
        LastLayer().apply(model, spec, answers_on({"x": x}), judge_of(label, group))


@pytest.mark.parametrize("kind", ["probability", "probabilities", "label"])
def test_a_graph_without_linear_layer_says_what_ends_it(kind, biased):
    feeds, label, group = biased
    spec = spec_of(kind, score="score" if kind == "label" else None)
    with pytest.raises(ModelError, match="threshold' needs no last layer"):
        LastLayer().apply(binary_graph(kind), spec, answers_on(feeds), judge_of(label, group))


def test_options_that_cannot_be_are_refused():
    x, label, group = spurious(3)
    model, spec = two_layers(3)
    judge = judge_of(label, group, classes=3)
    with pytest.raises(UsageError, match="fits is 0"):
        open_post_method("last-layer", {"fits": 0})
    with pytest.raises(UsageError, match="`by` is for two classes"):
        Threshold(by="s").apply(model, spec, answers_on({"x": x}), judge)
