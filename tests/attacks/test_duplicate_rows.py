"""Rows that are counted several times narrow no interval: not with their ids, not with new ones, not without."""

import numpy as np
import pytest

from tests.attacks.judged import run
from tests.attacks.repeated import judge, people

ID, PEOPLE, ONCE = (
    ("--set", "data.id=id"),
    ("--set", "data.equal_rows=people"),
    ("--set", "data.equal_rows=once"),
)


def copied(columns, times, role="test"):
    """The table with each row of a role several times, as a join leaves it."""
    chosen = np.flatnonzero(columns["part"] == role)
    rows = np.concatenate([np.flatnonzero(columns["part"] != role), np.tile(chosen, times)])
    return {name: column[rows] for name, column in columns.items()}


def named(columns):
    return {**columns, "id": np.array([f"r{row}" for row in range(len(columns["a"]))])}


def gate(report):
    return report["targets"][0]["verdict"]["gates"][0]


def test_a_table_without_copies_cannot_tell_and_says_so(tmp_path):
    code, report = judge(tmp_path, named(people()), *ID)
    assert code == 3
    assert not any("repeat another one" in note for note in report["notes"])


def test_the_same_ids_again_are_refused(tmp_path):
    code, said = judge(tmp_path, copied(named(people()), 10), *ID)
    assert code == 2
    assert "1,200 ids of data.id occur more than once, for example 'r1800' (10 rows)" in said
    assert "data.subject" in said


def test_ids_are_compared_in_every_split_that_is_used(tmp_path):
    code, said = judge(tmp_path, copied(named(people()), 2, role="train"), *ID)
    assert code == 2
    assert "1,800 ids" in said
    spare = named(people())
    spare["part"][:100] = "spare"
    spare["id"][:100] = "r200"
    code, _ = judge(tmp_path, spare, *ID, "--set", "data.split.unused=spare")
    assert code == 3


@pytest.mark.parametrize("ids", [True, False])
@pytest.mark.parametrize("times", [2, 10])
def test_copies_under_new_ids_and_without_ids_are_refused(tmp_path, times, ids):
    table = copied(people(), times)
    code, said = judge(tmp_path, named(table) if ids else table, *(ID if ids else ()))
    assert code == 2
    assert f"{1200 * (times - 1):,} of {1200 * times:,} audit rows repeat another one" in said
    assert "data.equal_rows: people" in said
    assert "`once`" in said


def test_copies_in_one_small_cell_are_refused_though_they_are_few(tmp_path):
    table = people(20_000)
    few = np.flatnonzero((table["part"] == "test") & (table["sex"] == "F") & (table["label"] == "yes"))[:300]
    rows = np.concatenate([np.arange(20_000), few])
    code, said = judge(tmp_path, {name: column[rows] for name, column in table.items()})
    assert code == 2
    assert "300 of 8,300 audit rows" in said
    assert "with sex 'F' and label 'yes'" in said


def test_a_few_equal_rows_are_told_and_not_refused(tmp_path):
    table = people()
    rows = np.concatenate([np.arange(3000), [2999, 2998, 2997]])
    code, report = judge(tmp_path, {name: column[rows] for name, column in table.items()})
    assert code == 3
    assert any("3 of 1,203 audit rows (0.2%) repeat another one" in note for note in report["notes"])


@pytest.mark.parametrize("flags", [(), ONCE])
@pytest.mark.parametrize("counter", ["feature", "group"])
def test_a_column_that_nobody_judges_hides_no_copy(tmp_path, counter, flags):
    """A join can bring a column in which the copies differ: the model does not see it, or the policy does not judge."""
    table = copied(people(), 10)
    number = np.arange(len(table["a"]))
    extra = {"visit": number / 7.0} if counter == "feature" else {"visit": number.astype(str)}
    grouped = ("--set", "data.sensitive=[sex, visit]") if counter == "group" else ()
    code, said = judge(tmp_path, {**table, **extra}, *grouped, *flags)
    assert code == 2
    assert "audit rows repeat another one" in said


@pytest.mark.parametrize("ids", [True, False])
def test_copies_that_are_judged_once_give_the_verdict_of_the_table_without_them(tmp_path, ids):
    honest = judge(tmp_path, people())[1]
    table = copied(people(), 10)
    code, report = judge(tmp_path, named(table) if ids else table, *ONCE, *(ID if ids else ()))
    assert code == 3
    assert report["audit"]["fingerprint"] == honest["audit"]["fingerprint"]
    assert gate(report) == gate(honest)
    assert any("10,800 audit rows are copies of others" in note for note in report["notes"])


def test_whoever_calls_copies_people_says_so_in_the_report(tmp_path):
    _, report = judge(tmp_path, copied(people(), 10), *PEOPLE)
    assert any("10,800 of 12,000 audit rows" in note and "equal_rows: people" in note for note in report["notes"])


def test_a_subject_with_equal_rows_is_one_person_and_two_subjects_with_equal_rows_are_two(tmp_path):
    table = people()
    table["who"] = np.array([f"p{row}" for row in range(3000)])
    subject = ("--set", "data.subject=who")
    code, report = judge(tmp_path, copied(table, 10), *subject)
    assert code == 3
    assert any("10,800 of 12,000" in note for note in report["notes"])
    table = copied(table, 10)
    table["who"] = np.array([f"p{row}" for row in range(len(table["a"]))])
    code, said = judge(tmp_path, table, *subject)
    assert code == 2
    assert "10,800 of 12,000 audit rows repeat another one" in said


def test_people_who_share_their_answers_are_told_which_key_to_set_and_are_judged_with_it(tmp_path):
    table = people(8000)
    answers = {**table, "a": np.sign(table["a"]), "b": np.sign(table["b"])}
    code, said = judge(tmp_path, answers)
    assert code == 2
    assert "`data.equal_rows: people` if different people share their answers" in said
    code, _ = judge(tmp_path, answers, *PEOPLE)
    assert code in (0, 1, 3)


def test_a_record_in_which_an_id_stands_twice_is_refused(tmp_path):
    """As one would be that was saved by an older version, or put together from two."""
    code, _ = judge(tmp_path, named(people()), *ID, "--record", str(tmp_path / "raw.npz"))
    assert code in {0, 3}
    with np.load(tmp_path / "raw.npz") as content:
        arrays = {name: content[name] for name in content.files}
    arrays["codes/ids"][1] = arrays["codes/ids"][0]
    np.savez(tmp_path / "twice.npz", **arrays)
    done = run("verify", tmp_path, "--from-record", tmp_path / "twice.npz")
    assert (done.exit_code, "occur more than once" in done.stderr) == (2, True)
