"""Values, classes and columns named like joint groups or like comparisons: no row vanishes behind a name."""

import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from edgefair.config import parse_config
from edgefair.data.files.table import Categories
from edgefair.data.groups import joint_groups
from edgefair.decision.cells import declared_table
from edgefair.decision.decide import decide
from edgefair.decision.policy import Policy
from edgefair.decision.verdict import Outcome, comparison_name
from edgefair.errors import DataError, PolicyError
from edgefair.joint import group_name, join, split
from edgefair.measure.counts import GroupCounts
from edgefair.measure.paired import PairedCounts
from edgefair.probe.bundles.gates import ABSOLUTE
from edgefair.report.results.comparison import compare_paired
from edgefair.report.results.data import cells
from edgefair.workflow.measurement.design import design_of

# Pieces that names are told apart by, and a letter between them.
pieces = st.text(st.sampled_from("*\\a ,/:|\n"), max_size=6)
STARS = {"sex": {"groups": ["a", "a*b"]}, "age": {"groups": ["b*c", "c"]}}
NO_FLOOR = {"min_balanced_accuracy": 0.0}


@given(st.lists(pieces, min_size=1, max_size=4).map(tuple), st.sampled_from("*|"))
def test_a_joined_name_splits_into_its_parts(parts, separator):
    assert split(join(parts, separator), separator) == parts


@given(st.lists(pieces, min_size=2, max_size=2).map(tuple), st.lists(pieces, min_size=2, max_size=2).map(tuple))
def test_two_groups_never_have_one_name(one, other):
    assert (group_name(one) == group_name(other)) == (one == other)


@given(*[st.lists(pieces, min_size=4, max_size=4).map(tuple)] * 2)
def test_two_comparisons_never_have_one_name(one, other):
    assert (comparison_name(*one) == comparison_name(*other)) == (one == other)


def test_ordinary_names_are_printed_as_they_are():
    assert comparison_name("sex*age", "TPR", "F/X*50,000", "M:1*50,000") == "sex*age: TPR, F/X*50,000 / M:1*50,000"


def people(right_of, each=1500):
    """Counts of STARS: `each` rows of every (sex, age, label), decided rightly as often as `right_of` says."""
    sex, age, label, right = [], [], [], []
    for pair in [(s, a) for s in STARS["sex"]["groups"] for a in STARS["age"]["groups"]]:
        for y in (0, 1):
            sex += [pair[0]] * each
            age += [pair[1]] * each
            label += [y] * each
            right += [index < right_of(*pair) * each for index in range(each)]
    label = np.array(label)
    decision = np.where(right, label, 1 - label)
    return {"sex": Categories.of(sex), "age": Categories.of(age)}, label, decision


def counted(right_of, each=1500):
    attributes, label, decision = people(right_of, each)
    return GroupCounts.from_rows(attributes, label=label, decision=decision, classes=("no", "yes"))


def test_no_row_of_an_intersection_vanishes_behind_another_group_of_one_joined_text():
    """`a` x `b*c` is decided by a coin; `a*b` x `c` would overwrite it, and the model would pass."""
    counts = counted(lambda sex, age: 0.5 if (sex, age) == ("a", "b*c") else 0.9)
    policy = Policy.model_validate({"attributes": STARS | {"sex*age": {}}, "max_eo_gap": 0.3} | NO_FLOOR)
    table = declared_table(counts, policy, "sex*age")
    assert table.sum() == counts.n == 12_000
    assert table.sum(axis=(1, 2)).tolist() == [3000] * 4
    verdict = decide(counts, policy)
    assert verdict.outcome is Outcome.FAIL
    assert [item.group for item in verdict.attributes[2].groups] == [r"a*b\*c", "a*c", r"a\*b*b\*c", r"a\*b*c"]
    assert verdict.gate(ABSOLUTE).binding.group_a == r"a*b\*c"
    assert decide(counted(lambda *_: 0.9), policy).outcome is Outcome.PASS


def test_subjects_are_counted_in_their_own_group():
    attributes, label, decision = people(lambda *_: 0.9, each=200)
    policy = Policy.model_validate({"attributes": STARS | {"sex*age": {}}})
    # One person has all rows of `a` x `b*c`; everybody else has one.
    index, groups = joint_groups(attributes, ("sex", "age"))
    alone = index == groups.index(("a", "b*c"))
    subject = Categories.of(np.where(alone, "she", np.arange(len(label)).astype(str)).astype(object))
    design = design_of(
        policy, subject=subject, sensitive=attributes, label=label, decision=decision, reference=None, classes=2
    )
    assert design.rates["sex*age"].subjects[:, :, 0].tolist() == [[1, 1], [200, 200], [200, 200], [200, 200]]


def test_every_group_has_its_own_loss_in_a_comparison():
    attributes, label, decision = people(lambda *_: 0.9, each=100)
    index, groups = joint_groups(attributes, ("sex", "age"))
    worse = np.where(index == groups.index(("a", "b*c")), 1 - decision, decision)
    paired = PairedCounts.from_rows(attributes, label=label, reference=decision, candidate=worse, classes=("no", "yes"))
    policy = Policy.model_validate({"attributes": STARS | {"sex*age": {}}})
    losses = compare_paired(paired, policy, before="b", after="a").excess_loss["sex*age"]
    assert losses == pytest.approx({r"a*b\*c": 0.6, "a*c": -0.2, r"a\*b*b\*c": -0.2, r"a\*b*c": -0.2})


def test_a_description_of_the_data_has_a_line_for_every_group():
    class Described:
        sensitive, label, _ = people(lambda *_: 0.9, each=1)

        def __len__(self):
            return len(self.label)

    found = cells(Described(), ("sex", "age"), classes=("no", "yes"))
    assert dict(zip(found.groups, found.counts.tolist(), strict=True)) == {
        r"a*b\*c": [1, 1], "a*c": [1, 1], r"a\*b*b\*c": [1, 1], r"a\*b*c": [1, 1]
    }  # fmt: skip


def test_groups_that_differ_in_trailing_nuls_are_two_groups():
    texts = ["F", "F\0", "F\0\0"]
    _, groups = joint_groups({"sex": Categories.of(np.array(texts, dtype=object))}, ("sex",))
    assert groups == (("F",), ("F\0",), ("F\0\0",))
    counts = GroupCounts.from_rows({"sex": texts}, label=[0, 1, 1], decision=[0, 0, 1], classes=("0", "1"))
    assert counts.groups == groups


# The policy's spelling ----------------------------------------------------------------------------------------------


def declared(*groups, attributes=STARS):
    return Policy.model_validate({"attributes": attributes | {"sex*age": {"groups": list(groups)}}}).groups("sex*age")


def test_a_declared_joint_group_is_what_it_can_only_be():
    assert declared(r"a*b\*c", r"a\*b*c") == (("a", "b*c"), ("a*b", "c"))
    assert declared("a*c", "a*b*b*c") == (("a", "c"), ("a*b", "b*c"))
    plain = {"sex": {"groups": ["F", "M"]}, "age": {"groups": [1, 2]}}
    assert declared("F*1", "M*2", attributes=plain) == (("F", "1"), ("M", "2"))


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (["a*b*c", "a*c"], r"'a\*b\*c' may be 'a\*b\\\*c' or 'a\\\*b\*c'"),
        (["a*d", "a*c"], r"'a\*d' is not a combination .* which are a\*b\\\*c, a\*c, a\\\*b\*b\\\*c, a\\\*b\*c"),
        ([r"a\*b*b\*c", "a*b*b*c"], "lists a group twice"),
    ],
)
def test_a_joint_group_that_may_be_several_or_none_is_refused_with_what_it_could_be(groups, message):
    raw = {
        "project": "p",
        "data": {"source": "people.csv", "label": "y", "positive": "1", "sensitive": ["sex", "age"]},
        "policy": {"attributes": STARS | {"sex*age": {"groups": groups}}},
    }
    with pytest.raises(PolicyError, match=message):
        parse_config(raw, base=None)


def test_a_column_with_a_star_in_its_name_is_one_attribute_and_not_two():
    attributes = {
        r"a\*b": {"groups": ["1", "2"], "model_input": True}, "c": {"groups": ["1", "2"]}, r"a\*b*c": {}
    }  # fmt: skip
    policy = Policy.model_validate({"attributes": attributes, "max_eo_gap": 0.2})
    assert policy.base_attributes == ("a*b", "c")
    assert policy.model_inputs == ("a*b",)
    assert policy.attributes_of(r"a\*b*c") == ("a*b", "c")
    first, second = (column.ravel() for column in np.meshgrid([1, 2], np.tile([1, 2], 3000)))
    label = np.repeat([0, 1], len(first) // 2)
    decision = np.where(np.arange(len(label)) % 11 == 0, 1 - label, label)
    counts = GroupCounts.from_rows({"a*b": first, "c": second}, label=label, decision=decision, classes=("n", "y"))
    verdict = decide(counts, policy)
    assert verdict.outcome is Outcome.PASS
    assert list(verdict.metrics) == [r"a\*b", "c", r"a\*b*c"]


@pytest.mark.parametrize(
    "attributes",
    [
        {"a*b": {"groups": ["1", "2"]}},
        {"s": {"groups": ["1", "2"]}, "s*s": {}},
        {"a\\b": {"groups": ["1", "2"]}, "a\\\\b": {"groups": ["1", "2"]}},
        {"s": {"groups": [None, "2"]}},
        {"s": {"groups": [["1"], "2"]}},
    ],
)
def test_attributes_and_groups_that_are_not_what_they_say_are_refused(attributes):
    with pytest.raises(ValidationError):
        Policy.model_validate({"attributes": attributes})


@pytest.mark.parametrize(
    ("groups", "values"),
    [([1, 2], [2, 1]), ([True, False], [True, False]), ([-1.5, 2.0], [2.0, -1.5])],
)
def test_numbers_and_booleans_of_a_policy_are_those_of_the_data(groups, values):
    column = Categories.of(np.array(values))
    counts = GroupCounts.from_rows({"s": column}, label=[0, 1], decision=[0, 1], classes=("n", "y"))
    policy = Policy.model_validate({"attributes": {"s": {"groups": groups}}})
    assert declared_table(counts, policy, "s").sum() == 2


# Values of Python that are or are not one text ----------------------------------------------------------------------


def test_values_of_one_text_are_one_group_and_equal_values_of_two_texts_are_two():
    mixed = np.array([1, "1", True, "True", b"1", np.int64(1)], dtype=object)
    counts = GroupCounts.from_rows({"s": mixed}, label=[0] * 6, decision=[0] * 6, classes=("n", "y"))
    assert counts.groups == (("1",), ("True",))
    assert counts.table.sum(axis=(1, 2)).tolist() == [4, 2]


def test_a_group_that_is_counted_twice_is_named():
    with pytest.raises(DataError, match=r"group 'a\\\*b\*c' is listed twice"):
        GroupCounts(("s", "t"), (("a*b", "c"), ("a*b", "c")), ("n", "y"), np.zeros((2, 2, 2), dtype=np.int64))
    with pytest.raises(DataError, match="not text"):
        GroupCounts(("s",), ((1,), ("1",)), ("n", "y"), np.zeros((2, 2, 2), dtype=np.int64))


# Waivers and rates --------------------------------------------------------------------------------------------------

DAY = datetime.date(2026, 1, 1)
# Two comparisons that would both be printed as "s: TPR, x / y / z": x against "y / z", and "x / y" against z.
SLASHES = ["x", "x / y", "y / z", "z"]


def waived(*names, groups=SLASHES):
    waivers = [
        {"comparison": name, "reason": "pilot", "owner": "Ada", "expires": datetime.date(2027, 1, 1)} for name in names
    ]
    hits = {"x": 950, "x / y": 950, "y / z": 700, "z": 700}
    table = np.array([[[900, 100], [1000 - hits.get(name, 900), hits.get(name, 900)]] for name in groups])
    counts = GroupCounts(("s",), tuple((name,) for name in groups), ("0", "1"), table)
    policy = Policy.model_validate({"attributes": {"s": {"groups": groups}}, "waivers": waivers})
    return decide(counts, policy, today=DAY)


def test_a_waiver_of_a_text_that_two_comparisons_share_lets_none_through():
    with pytest.raises(PolicyError, match="may be 2 comparisons") as refused:
        waived("s: TPR, x / y / z")
    assert refused.value.expected == r"'s: TPR, x / y \/ z' or 's: TPR, x \/ y / z'"


def test_a_waiver_lets_the_one_comparison_through_that_it_names():
    everything = {item.name for item in waived().failing}
    assert {r"s: TPR, x / y \/ z", r"s: TPR, x \/ y / z"} <= everything
    left = {item.name for item in waived(r"s: TPR, x \/ y / z").failing}
    assert left == everything - {r"s: TPR, x \/ y / z"}


def test_a_waiver_without_escapes_holds_where_only_one_comparison_fits():
    groups = ["x", "50, or more"]
    table = np.array([[[900, 100], [50, 950]], [[900, 100], [300, 700]]])
    counts = GroupCounts(("s",), (("50, or more",), ("x",)), ("0", "1"), table[::-1])
    waiver = {"comparison": "s: TPR, x / 50, or more", "reason": "r", "owner": "o", "expires": "2027-01-01"}
    policy = Policy.model_validate({"attributes": {"s": {"groups": groups}}, "waivers": [waiver]})
    assert decide(counts, policy, today=DAY).gate(ABSOLUTE).outcome is not Outcome.FAIL


def test_rates_of_classes_with_a_bar_in_their_names_are_not_overwritten():
    """P(a|b|c) is a rate of label `b|c` and of label `c`: the gap of one must not hide that of the other."""
    classes = ("a", "a|b", "b|c", "c")
    table = np.full((2, 4, 4), 100)
    table[1, 2, 0] += 900
    counts = GroupCounts(("s",), (("f",), ("m",)), classes, table)
    summary = decide(counts, Policy.model_validate({"attributes": {"s": {"groups": ["f", "m"]}}})).attributes[0]
    assert len(summary.parts) == 16
    assert summary.parts[r"P(a|b\|c)"] == pytest.approx(summary.gap) == pytest.approx(1000 / 1300 - 0.25)
