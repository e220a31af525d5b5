import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefair.data.files.table import Categories
from edgefair.errors import DataError
from edgefair.measure.counts import GroupCounts
from edgefair.measure.paired import PairedCounts

row = st.tuples(st.sampled_from("FMX"), st.sampled_from(["old", "young"]), st.integers(0, 2), st.integers(0, 2))
rows = st.lists(row, min_size=1, max_size=120)
CLASSES = ("a", "b", "c")


def counted(items, **changes):
    sex, age, label, decision = (list(column) for column in zip(*items, strict=True))
    arguments = {"label": label, "decision": decision, "classes": CLASSES} | changes
    return GroupCounts.from_rows({"sex": np.array(sex), "age": np.array(age)}, **arguments)


def same(one, other):
    return (one.attributes, one.groups, one.classes) == (
        other.attributes,
        other.groups,
        other.classes,
    ) and np.array_equal(one.table, other.table)


@given(rows)
def test_counts_are_what_a_loop_over_the_rows_counts(items):
    counts = counted(items)
    expected = {}
    for sex, age, label, decision in items:
        expected[(sex, age), label, decision] = expected.get(((sex, age), label, decision), 0) + 1
    found = {
        (group, label, decision): int(counts.table[index, label, decision])
        for index, group in enumerate(counts.groups)
        for label in range(3)
        for decision in range(3)
        if counts.table[index, label, decision]
    }
    assert found == expected


@given(rows, st.randoms())
def test_the_order_of_the_rows_does_not_matter(items, random):
    shuffled = list(items)
    random.shuffle(shuffled)
    assert same(counted(items), counted(shuffled))


@given(rows, st.integers(0, 120))
def test_merging_shards_equals_one_pass(items, cut):
    one, other = items[:cut], items[cut:]
    if one and other:
        assert same(counted(one) + counted(other), counted(items))


@given(rows)
def test_a_marginal_equals_counting_by_that_attribute_alone(items):
    direct = GroupCounts.from_rows(
        {"age": np.array([item[1] for item in items])},
        label=[item[2] for item in items],
        decision=[item[3] for item in items],
        classes=CLASSES,
    )
    assert same(counted(items).by("age"), direct)


@given(rows)
def test_codes_and_text_count_alike(items):
    coded = GroupCounts.from_rows(
        {
            "sex": Categories.of([item[0] for item in items]),
            "age": Categories.of(np.array([item[1] for item in items], dtype=object)),
        },
        label=[item[2] for item in items],
        decision=[item[3] for item in items],
        classes=CLASSES,
    )
    assert same(coded, counted(items))


@given(rows)
def test_json_brings_the_same_counts_back(items):
    counts = counted(items)
    assert same(GroupCounts.from_json(counts.to_json()), counts)


@given(rows, st.integers(0, 2))
def test_paired_counts_hold_both_models_counts(items, shift):
    reference = [(item[3] + shift) % 3 for item in items]
    paired = PairedCounts.from_rows(
        {"sex": np.array([item[0] for item in items]), "age": np.array([item[1] for item in items])},
        label=[item[2] for item in items],
        reference=reference,
        candidate=[item[3] for item in items],
        classes=CLASSES,
    )
    assert same(paired.candidate, counted(items))
    assert same(paired.reference, counted(items, decision=reference))


def test_many_joint_groups_cost_memory_by_rows_not_by_combinations():
    count = 3000
    ids = np.arange(count)
    attributes = {f"a{index}": Categories(tuple(map(str, range(count))), ids.astype(np.int32)) for index in range(4)}
    counts = GroupCounts.from_rows(attributes, label=ids % 2, decision=ids % 2, classes=("0", "1"))
    assert len(counts.groups) == count
    assert counts.n == count


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label": [0, 3]}, "label holds 0 to 3"),
        ({"decision": [0, -1]}, "decision holds -1 to 0"),
        ({"decision": [0.5, 1.0]}, "decision holds float64"),
        ({"decision": [float("nan"), 1.0]}, "decision holds float64"),
        ({"label": [0]}, "unequal length"),
    ],
)
def test_rows_that_cannot_be_counted_are_refused(changes, message):
    with pytest.raises(DataError, match=message):
        counted([("F", "old", 0, 0), ("M", "old", 1, 1)], **changes)


def test_a_row_without_a_group_is_refused():
    missing = Categories(("F",), np.array([0, -1], dtype=np.int32))
    for column in (missing, np.array(["F", None], dtype=object)):
        with pytest.raises(DataError, match=r"no value in 1 rows|without a value"):
            GroupCounts.from_rows({"sex": column}, label=[0, 1], decision=[0, 1], classes=("0", "1"))


@pytest.mark.parametrize("table", [[[[1, -1], [0, 1]]], [[[0.5, 1], [0, 1]]], [[[float("nan"), 1], [0, 1]]]])
def test_counts_that_are_not_whole_numbers_are_refused(table):
    content = {"schema": "edgefair.counts/1", "attributes": ["s"], "groups": [["F"]], "classes": ["0", "1"]}
    with pytest.raises(DataError, match="whole numbers"):
        GroupCounts.from_json(content | {"table": table})


def test_a_group_named_twice_is_refused():
    with pytest.raises(DataError, match="listed twice"):
        GroupCounts(("s",), (("F",), ("F",)), ("0", "1"), np.zeros((2, 2, 2), dtype=np.int64))


def test_counts_of_other_attributes_or_classes_are_not_added():
    one = counted([("F", "old", 0, 0)])
    with pytest.raises(DataError, match="different attributes"):
        one + one.by("sex")
    other = GroupCounts.from_rows({"sex": ["F"], "age": ["old"]}, label=[0], decision=[0], classes=("x", "y", "z"))
    with pytest.raises(DataError, match="different classes"):
        one + other


def test_an_attribute_that_was_not_counted_is_named():
    with pytest.raises(DataError, match="did you mean 'sex'"):
        counted([("F", "old", 0, 0)]).by("sexx")


@given(rows, st.integers(1, 40))
def test_a_stream_of_batches_merges_to_one_pass(items, size):
    batches = (counted(items[start : start + size]) for start in range(0, len(items), size))
    assert same(GroupCounts.merge(batches), counted(items))


@given(rows)
def test_the_slices_of_an_attribute_add_up_to_the_whole(items):
    counts = counted(items)
    present = sorted({group[0] for group in counts.groups})
    assert same(GroupCounts.merge(counts.where("sex", value) for value in present), counts)


def test_a_slice_of_nobody_and_a_merge_of_nothing_are_refused():
    with pytest.raises(DataError, match="did you mean 'old'"):
        counted([("F", "old", 0, 0)]).where("age", "odl")
    with pytest.raises(DataError, match="no counts to merge"):
        GroupCounts.merge([])


def test_saved_counts_come_back_and_anything_else_is_refused(tmp_path):
    counts = counted([("F", "old", 0, 0), ("M", "young", 1, 2)])
    counts.save(tmp_path / "counts.json")
    assert same(GroupCounts.load(tmp_path / "counts.json"), counts)
    for content in ("", "[]", '{"schema": "edgefair.counts/9"}'):
        (tmp_path / "bad.json").write_text(content)
        with pytest.raises(DataError):
            GroupCounts.load(tmp_path / "bad.json")
