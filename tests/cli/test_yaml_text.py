"""What YAML may say."""

import itertools
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefair.config import load_config
from edgefair.errors import PolicyError, UsageError
from edgefair.workflow.project.init import _flow
from edgefair.yaml_text import MAX_BYTES, YamlTextError, parse_yaml

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=10,
)


@given(VALUES)
def test_what_init_writes_is_what_is_read(value):
    assert parse_yaml(f"key: {_flow(value)}") == {"key": value}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x 1", "line 1, column 4: it holds an anchor or alias"),
        ("a: 1\nb: *x", "line 2, column 4: it holds an anchor or alias"),
        ("a: 1\nb: {c: 1, c: 2}", "line 2, column 11: it holds the key 'c' a second time"),
        ("a: .nan", "not a finite number"),
        ("a: 1.0e+400", "not a finite number"),
        ("a: 1" + "0" * 30, "more than 64 bits"),
        ("a: " + "9" * 5000, "which is not a value"),
        ('a: "\\0"', "NUL"),
        ("a: !!binary aGk=", "the tag"),
        ("a: !!python/object/apply:os.system [id]", "the tag"),
        ("{[a]: b}", "a list or mapping as a key"),
        ("a\n---\nb", "a second document"),
        ("[", "line 2, column 1"),
        ("=", "line 1, column 1"),
        ("\ud800", "not Unicode"),
        # Releases of PyYAML from 6.0.4 have a limit of their own.
        ("[" * 100_000, "more than 32 deep|line 1, .* maximum nesting depth"),
        ("- " * 100_000, "more than 32 deep"),
        ("a" * (MAX_BYTES + 1), "characters"),
    ],
)
def test_what_is_more_than_plain_values_is_refused_with_its_line(text, message):
    with pytest.raises(YamlTextError, match=message):
        parse_yaml(text)


def test_a_date_stays_its_text_and_a_tag_that_says_text_is_one():
    assert parse_yaml("[2024-02-30, 2024-01-31, !!str 5, ! 5]") == ["2024-02-30", "2024-01-31", "5", 5]


def test_what_looks_like_a_word_or_a_code_is_text():
    written = "yes, NO, on, Off, y, 01, 08, -007, 1_0, 1:30, 0b11, 01.5, 1_0.5"
    assert parse_yaml(f"[{written}]") == written.split(", ")
    assert parse_yaml("[true, FALSE, 0, -3, 0x1f, 1.5, .5, 2.e+3, 1.5e-3]") == [
        *(True, False, 0, -3, 31, 1.5, 0.5, 2000.0, 0.0015)
    ]


def test_labels_and_groups_without_quotes_are_the_words_that_they_are(tmp_path):
    path = tmp_path / "edgefair.yaml"
    path.write_text(
        "data: {source: people.csv, label: hired, positive: yes, sensitive: country, allow_sensitive_features: no}\n"
        "policy: {attributes: {country: {groups: [NO, SE, 01]}}}\n"
    )
    config = load_config(path, {"compress.qat": "no"})
    assert config.data.positive == "yes"
    assert config.policy.group_names("country") == ("NO", "SE", "01")
    assert (config.data.allow_sensitive_features, config.compress.qat) == (False, False)


def test_five_hundred_bytes_that_describe_a_billion_values_are_refused_at_once(tmp_path):
    names = "abcdefghi"
    lists = ["&a [" + ",".join(["x"] * 9) + "]"]
    lists += [f"&{name} [" + ",".join([f"*{before}"] * 9) + "]" for before, name in itertools.pairwise(names)]
    path = tmp_path / "edgefair.yaml"
    path.write_text(f"targets: [{', '.join(lists)}]\n")
    begun = time.process_time()
    with pytest.raises(UsageError, match="line 1, column 11: it holds an anchor or alias"):
        load_config(path)
    assert time.process_time() - begun < 1


@pytest.mark.parametrize(("day", "right"), [("2024-02-30", False), ("soon", False), ("2024-02-29", True)])
def test_the_last_day_of_a_waiver_is_a_day(tmp_path, day, right):
    waiver = {"comparison": "c", "reason": "r", "owner": "o", "expires": day}
    path = tmp_path / "edgefair.yaml"
    config = {"data": {"source": "glyphs", "label": "shape", "sensitive": ["group"]}}
    config["policy"] = {"attributes": {"group": {"groups": ["a", "b"]}}, "waivers": [waiver]}
    path.write_text(json.dumps(config))
    if right:
        assert load_config(path).policy.waivers[0].expires.isoformat() == day
    else:
        with pytest.raises(PolicyError, match=r"policy\.waivers\.0\.expires"):
            load_config(path)
