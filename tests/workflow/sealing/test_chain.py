"""A chained log is refused when anything in it is not as it was written."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefair.workflow.sealing.chain import START, ChainError, line_of, link, read_chain

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
ENTRIES = st.lists(st.dictionaries(TEXTS, st.none() | st.integers() | TEXTS, max_size=4), min_size=1, max_size=6)


def log(entries):
    """The lines of a log, as bytes."""
    lines, head = [], START
    for entry in entries:
        made = link(head, {key: value for key, value in entry.items() if key not in {"previous", "digest"}})
        lines.append(line_of(made))
        head = made["digest"]
    return lines


@given(ENTRIES)
def test_a_log_is_read_as_it_was_written(entries):
    found = read_chain(b"".join(log(entries)))
    assert [line_of(item) for item in found] == log(entries)


@settings(max_examples=300)
@given(ENTRIES, st.data())
def test_a_log_in_which_any_byte_was_edited_is_refused(entries, data):
    whole = bytearray(b"".join(log(entries)))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] = data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[at]))
    with pytest.raises(ChainError):
        read_chain(bytes(whole))


@given(ENTRIES.filter(lambda entries: len(entries) > 1), st.data())
def test_a_log_of_which_a_line_was_cut_out_or_moved_is_refused(entries, data):
    lines = log(entries)
    at = data.draw(st.integers(0, len(lines) - 2))
    with pytest.raises(ChainError):
        read_chain(b"".join(lines[:at] + lines[at + 1 :]))
    moved = [*lines[:at], lines[at + 1], lines[at], *lines[at + 2 :]]
    with pytest.raises(ChainError):
        read_chain(b"".join(moved))


@given(ENTRIES, st.data())
def test_a_log_that_was_cut_inside_of_a_line_is_refused(entries, data):
    lines = log(entries)
    cut = data.draw(st.integers(1, len(lines[-1]) - 1))
    with pytest.raises(ChainError):
        read_chain(b"".join(lines[:-1]) + lines[-1][:cut])


@pytest.mark.parametrize(
    "line", [b"\n", b"5\n", b'{"digest":NaN}\n', b"[" * 100_000 + b"\n", b'{"a":"\\ud800"}\n', b"\xff\n"]
)
def test_what_is_no_line_of_a_log_is_refused(line):
    with pytest.raises(ChainError, match="line 1"):
        read_chain(line)


def test_a_log_that_was_cut_behind_a_line_is_whole_by_itself():
    """Which is why heads are remembered elsewhere."""
    lines = log([{"a": 1}, {"b": 2}])
    assert len(read_chain(lines[0])) == 1
