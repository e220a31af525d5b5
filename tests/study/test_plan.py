import re
from pathlib import Path

import pytest

import edgefair
from edgefair.errors import UsageError
from edgefair.study.levels import Treatment, read_extent, read_purity, read_treatment
from edgefair.study.planned import planned_contrasts
from edgefair.study.reading import plan_digest, read_plan

PLAN = """
study: census-quick
factors:
  noise: [0, 0.1, 0.2, {flip: 0.4, where: {sex: Female}, label: "50000+"}]
  extent: [none, finetune-only, int8, prune 0.8, prune 0.8 + int8, scratch 0.5]
  treatment: [none, label-balance, before, during, after, before + during]
after_rows: 5000
seeds: 3
"""


def plan(**changes):
    text = PLAN
    for key, value in changes.items():
        text = "\n".join(line for line in text.splitlines() if not line.strip().startswith(f"{key}:"))
        if value is not None and key in {"noise", "extent", "treatment", "keep", "thin", "colour"}:
            text = text.replace("factors:", f"factors:\n  {key}: {value}")
        elif value is not None:
            text += f"\n{key}: {value}"
    return read_plan(text)


@pytest.fixture(scope="module")
def census():
    return read_plan(PLAN)


@pytest.mark.parametrize(
    "text",
    ["none", "finetune-only", "int8", "fp16", "prune 0.8", "prune 0.95 taylor", "prune 0.8 + int8", "scratch 0.5",
     "w4", "prune 0.8 + w4", "a16w8", "low-rank 0.25", "distil 0.5", "cluster 16", "finetune-only + int8"],
)  # fmt: skip
def test_an_extent_is_written_as_it_is_read(text):
    assert str(read_extent(text)) == text


def test_a_sum_of_treatments_has_one_name_in_any_order():
    assert read_treatment("during + before") == read_treatment("before+during") == Treatment(("before", "during"))


def test_no_two_cells_of_noise_are_written_alike():
    one = read_purity("noise", {"flip": 0.1, "where": {"a": "x", "b": "y"}})
    other = read_purity("noise", {"flip": 0.1, "where": {"a": 'x", "b": "y'}})
    assert str(one) != str(other)


def test_cells_are_all_combinations_that_can_be_with_seeds_outermost(census):
    # 4 noises x 6 extents x 6 treatments x 3 seeds; `during` of two treatments has no fine-tune in none, int8, scratch
    assert len(census.cells) == 4 * 3 * (36 - 2 * 3)
    assert len(census.left_out) == 4 * 3 * 6
    assert len({cell.key for cell in census.cells}) == len(census.cells)
    assert [cell.seed for cell in census.cells] == sorted(cell.seed for cell in census.cells)
    assert census.cells[0].key == "noise 0; keep all; thin none; extent none; treatment none; seed 0"


def test_a_dense_model_is_trained_once_for_all_its_extents(census):
    counted = census.trainings
    # dense: plain, label-balanced, reweighed before; during, after share the plain one
    assert counted.dense == 4 * 3 * 3
    assert counted.anew == 4 * 3 * 3
    # two networks (fine-tuned, pruned); none=after, label-balance, before, during, before + during
    assert counted.finetunes == 4 * 3 * 2 * 5
    cells = [cell for cell in census.cells if cell.extent.training == "finetune"]
    assert counted.unshared == len(census.cells) + len(cells)
    assert counted.saved > counted.dense


def test_every_extent_is_compared_with_the_control_and_every_treatment_with_both(census):
    found = {(item.family, item.name): item for item in planned_contrasts(census)}
    at = "noise 0; keep all; thin none; extent {}; treatment {}".format
    assert dict(found["extent", "prune 0.8 minus finetune-only, treatment during"].terms) == {
        at("prune 0.8", "during"): 1,
        at("finetune-only", "during"): -1,
    }
    assert ("treatment", "before minus none, extent int8") in found
    assert ("treatment", "before minus label-balance, extent int8") in found
    assert ("treatment", "during minus none, extent int8") not in found
    undone = found["undoing", "(before minus label-balance), prune 0.8 minus finetune-only"]
    assert dict(undone.terms) == {
        at("prune 0.8", "before"): 1,
        at("prune 0.8", "label-balance"): -1,
        at("finetune-only", "before"): -1,
        at("finetune-only", "label-balance"): 1,
    }
    known = {cell.condition for cell in census.cells}
    assert all(condition in known for item in found.values() for condition, _ in item.terms)


def test_a_precision_is_compared_with_the_same_network_without(census):
    found = [item.name for item in planned_contrasts(census) if item.family == "precision"]
    assert "int8 minus none, treatment before" in found
    assert "prune 0.8 + int8 minus prune 0.8, treatment during" in found
    # two of the six treatments need a fine-tune, which the dense network's INT8 has not
    assert len(found) == 4 + 6


def test_a_training_with_a_method_of_its_own_is_not_balanced_by_label_too():
    both = plan(treatment="[none, before, label-balance + before]", extent="[none, finetune-only]", noise="[0, 0.1]")
    assert both.trainings.dense == 2 * 3 * 2
    assert both.trainings.finetunes == 2 * 3 * 3


def test_labels_are_balanced_in_the_training_that_is_named_alone():
    def weighed(text):
        treatment = read_treatment(text)
        return treatment.weighs("before"), treatment.weighs("during")

    both = ("label-balance", "label-balance")
    assert weighed("label-balance") == both
    assert weighed("label-balance before") == ("label-balance", "none")
    assert weighed("label-balance during") == ("none", "label-balance")
    assert weighed("label-balance + before") == ("before", "label-balance")
    assert weighed("before + label-balance during") == ("before", "label-balance")
    for text in ("before", "during", "before + during", "label-balance + during", "after"):
        own = read_treatment(text)
        assert [by == "none" for by in weighed(text)] == [by == "none" for by in weighed(str(own.balanced))]
        assert own.balanced.is_control


def test_a_treatment_is_compared_with_labels_balanced_in_its_own_trainings():
    levels = "[none, label-balance, label-balance before, before, label-balance + before]"
    found = planned_contrasts(plan(treatment=levels, extent="[none, finetune-only]", noise="[0, 0.1]", after_rows=None))
    names = {item.name for item in found if item.family == "treatment"}
    assert "before minus label-balance before, extent finetune-only" in names
    assert "label-balance + before minus label-balance, extent finetune-only" in names
    assert not [name for name in names if name.startswith("label-balance before minus label-balance,")]


def test_treatments_that_make_one_file_are_one_cell_and_no_contrast_is_planned_again():
    levels = "[none, label-balance, label-balance before, before, label-balance + before]"
    given = plan(treatment=levels, extent="[none, finetune-only]", noise="[0, 0.1]", after_rows=None)
    dense = {str(cell.treatment) for cell in given.cells if cell.extent.training == "dense"}
    assert dense == {"none", "label-balance", "before"}
    assert len({cell.made for cell in given.cells}) == len(given.cells)
    found = planned_contrasts(given)
    assert len({item.terms for item in found}) == len(found)
    assert "label-balance + before minus before, extent none" not in {item.name for item in found}


PARTS = """
parts:
  - {noise: 0, extent: [none, finetune-only]}
  - {noise: [0.1], extent: none, treatment: [none, label-balance]}
"""
TWO_PARTS = """
study: parts
factors:
  noise: [0, 0.1]
  extent: [none, finetune-only]
  treatment: [none, label-balance, during]
seeds: 2
"""


def test_a_plan_of_parts_has_their_cells_alone_and_asks_what_they_can_answer():
    found = read_plan(TWO_PARTS + PARTS)
    whole = read_plan(TWO_PARTS)
    assert {cell.key for cell in found.cells} < {cell.key for cell in whole.cells}
    # without noise all but `during` of the dense network; with noise two
    assert len(found.cells) == 2 * (2 * 3 - 1 + 2)
    assert {item.name for item in planned_contrasts(found)} < {item.name for item in planned_contrasts(whole)}
    assert "slope per 10 % of noise, extent none" in {item.name for item in planned_contrasts(found)}
    assert plan_digest(found) != plan_digest(whole)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ("parts: [{noise: 0.3}]", "no level of the plan"),
        ("parts: [{noise: 0}]", "noise '0.1' is in no cell"),
        ("parts: [{nois: 0}]", "did you mean 'noise'"),
        ("parts: [{noise: []}]", "expected: a level"),
        ("parts: [{treatment: befor}]", "did you mean 'before'"),
    ],
)
def test_parts_that_cannot_be_are_refused(parts, said):
    with pytest.raises(UsageError) as error:
        read_plan(TWO_PARTS + parts)
    assert said in str(error.value)


def test_a_slope_is_that_of_least_squares_and_leaves_noise_of_a_cell_to_its_own(census):
    found = {item.name: item for item in planned_contrasts(census) if item.family == "slope"}
    slope = found["slope per 10 % of noise, extent none"]
    assert [weight for _, weight in slope.terms] == pytest.approx([-0.5, 0.5])
    assert "noise 0.1;" not in str(slope.terms)  # the middle of three has no weight
    own = found["slope per 10 % of noise of sex Female, label 50000+, extent none"]
    assert [weight for _, weight in own.terms] == pytest.approx([-0.25, 0.25])
    assert len(found["slope per 10 % of noise, int8 minus finetune-only"].terms) == 4


def test_sizes_have_a_slope_on_their_logarithm():
    found = [item for item in planned_contrasts(plan(noise=None, keep="[all, 2000, 8000]")) if item.family == "slope"]
    assert [weight for _, weight in found[0].terms] == pytest.approx([-0.5, 0.5])


def test_the_digest_is_of_all_that_is_fixed(census):
    assert plan_digest(census) == plan_digest(read_plan(PLAN + "\n# the same\n"))
    own = "[{name: x, of: {extent: int8}, minus: {extent: none}}]"
    changed = [plan(seeds=4), plan(responses="[gap]"), plan(contrasts=own), plan(after_rows=10)]
    assert len({plan_digest(item) for item in [census, *changed]}) == 5


def test_a_contrast_of_ones_own_joins_the_defaults():
    own = "[defaults, {name: small, of: {extent: scratch 0.5}, minus: {extent: prune 0.8}}]"
    *defaults, last = planned_contrasts(plan(contrasts=own))
    assert len(defaults) > 50
    assert last.family == "own"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"colour": "[a, b]"}, "unknown factor 'colour'"),
        ({"extent": "[none, prun 0.8]"}, "did you mean 'prune'"),
        ({"extent": "[none, prune]"}, "lacks its number"),
        ({"extent": "[none, prune 1.5]"}, "share of 1.5"),
        ({"extent": "[none, prune 0.8 tailor]"}, "did you mean 'taylor'"),
        ({"extent": "[none, int8 + fp16]"}, "contradict"),
        ({"extent": "[none]"}, "one level"),
        ({"extent": "[int8, int8]"}, "twice"),
        ({"extent": "none"}, "expected: a list"),
        ({"extent": "[none, int8]"}, "no extent of this plan has a fine-tune"),
        ({"treatment": "[none, befor]"}, "did you mean 'before'"),
        ({"treatment": "[none, none + before]"}, "contradicts"),
        ({"treatment": "[none, label-balance + label-balance during]"}, "keep one of them"),
        ({"treatment": "[none, label-balance before + label-balance during]"}, "write 'label-balance'"),
        ({"noise": "[0, 0.7]"}, "noise: noise is 0.7"),
        ({"noise": "[0, {flip: 0.1}]"}, "expected: the rows"),
        ({"noise": "[0, {flop: 0.1, where: {a: b}}]"}, "did you mean 'flip'"),
        ({"keep": "[all, 0]"}, "keep: 0"),
        ({"thin": "[none, {keep: 1.0, where: {sex: Female}}]"}, "below 1"),
        ({"seeds": "1"}, "has no spread"),
        ({"seeds": "[3, 3]"}, "each once"),
        ({"seeds": "100000"}, "seeds"),
        ({"after_rows": None}, "no validation rows"),
        ({"responses": "[gaps]"}, "did you mean 'gap'"),
        ({"responses": "[gap, gap]"}, "each once"),
        ({"methods": "{after: reweigh}"}, "methods.after: no method"),
        ({"sedes": "8"}, "did you mean 'seeds'"),
        ({"study": None}, "'study' is missing"),
        ({"contrasts": "[{name: x, of: {extent: int4}, minus: {extent: none}}]"}, "did you mean 'int8'"),
        ({"contrasts": "[{name: x, of: {extent: fp16}, minus: {extent: none}}]"}, "no level of the plan"),
        ({"contrasts": "[{name: x, of: {size: 3}, minus: {extent: none}}]"}, "no factor 'size'"),
        ({"contrasts": "[{name: x, of: {extent: none}, minus: {}}]"}, "with itself"),
        ({"contrasts": "[{name: x, of: {treatment: during}, minus: {}}]"}, "cannot be"),
    ],
)  # fmt: skip
def test_a_plan_that_cannot_be_is_refused_with_what_would_be(changes, said):
    with pytest.raises(UsageError) as error:
        plan(**changes)
    assert said in str(error.value)
    assert str(error.value).startswith("plan: ")


def test_a_plan_without_a_control_has_nothing_to_compare():
    with pytest.raises(UsageError, match="nothing to compare"):
        read_plan("study: x\nfactors: {extent: [int8, fp16]}")


def test_the_plan_that_is_documented_is_one():
    text = (Path(edgefair.__file__).parent.parent / "docs/study.md").read_text()
    shown = [block for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if "factors:" in block]
    assert shown
    for block in shown:
        assert len(read_plan(block).cells) > 1
