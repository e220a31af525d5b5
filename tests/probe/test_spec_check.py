"""A spec from outside is what its annotations and its sense allow, or a ValueError; nothing in between."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefair.probe.onnx_files.spec import (
    Column,
    InputSpec,
    ModelSpec,
    PictureSpec,
    Reading,
    TokenSpec,
    input_json,
)
from edgefair.probe.onnx_files.spec_check import input_from_json, spec_from_json

SPECS = [
    ModelSpec(
        (InputSpec("n", "float32", (Column("a"),)), InputSpec("c", "int32", (Column("b", ("x", "é")),))),
        Reading("decision", "label", None, "score"),
        ("no", "yes"),
    ),
    ModelSpec(
        (InputSpec("p", "float32", picture=PictureSpec("photo", 4, 6, mean=(0.5,) * 3, std=(0.5,) * 3, shorter=8)),),
        Reading("p", "probabilities", 0.25),
        ("no", "yes"),
    ),
    ModelSpec(
        (
            InputSpec("i", "int64", tokens=TokenSpec("text", "ids", 16, "0" * 64, 100, 0)),
            InputSpec("w", "float32", array="w"),
        ),
        Reading("l", "logits"),
        ("a", "b", "c"),
    ),
    ModelSpec((InputSpec("t", "str", (Column("job", ("cook",)),)),), Reading("l", "logit"), ("no", "yes")),
    ModelSpec(
        (
            InputSpec("n", "float32", (Column("a"), Column("b", None, "median", 1.5))),
            InputSpec("c", "int32", (Column("job", ("cook",), "category"),)),
        ),
        Reading("l", "logit"),
        ("no", "yes"),
    ),
]


@pytest.mark.parametrize("spec", SPECS)
def test_a_spec_and_its_inputs_come_back_from_their_json(spec):
    assert spec_from_json(spec.to_json()) == spec
    for item in spec.inputs:
        assert input_from_json(json.loads(json.dumps(input_json(item)))) == item


def changed(number, path, value):
    data = json.loads(SPECS[number].to_json())
    *way, last = path
    at = data
    for key in way:
        at = at[key]
    at[last] = value
    return json.dumps(data)


PICTURE, TOKENS = ("inputs", 0, "picture"), ("inputs", 0, "tokens")


@pytest.mark.parametrize(
    ("number", "path", "value", "message"),
    [
        (0, ("classes",), ["no"], "it has 1 classes"),
        (0, ("classes",), ["no", "no"], "class 'no' is listed twice"),
        (0, ("classes",), "ny", "classes is 'ny', not a list"),
        (0, ("classes",), ["no", 1], r"classes\[1\] is 1, not str"),
        (0, ("classes",), {"no": 0, "yes": 1}, "not a list"),
        (0, ("inputs",), [], "it has no input"),
        (0, ("inputs", 1, "name"), "n", "input 'n' is listed twice"),
        (0, ("inputs", 0, "dtype"), "object", "dtype 'object'"),
        (0, ("inputs", 0, "dtype"), "complex128", "dtype 'complex128'"),
        (0, ("inputs", 0, "dtype"), "str", "not every column of it has a vocabulary"),
        (0, ("inputs", 0, "columns"), [], "is not filled by either"),
        (0, ("inputs", 0, "array"), "w", "is not filled by either"),
        (0, ("inputs", 0, "columns", 0), "a", "is 'a', not an object"),
        (
            4,
            ("inputs", 0, "columns", 1, "missing"),
            "category",
            "column 'b': missing is 'category', not one of mean",
        ),
        (4, ("inputs", 0, "columns", 1, "missing"), None, "column 'b': missing is None, not one of mean"),
        (4, ("inputs", 0, "columns", 1, "fill"), None, "missing is 'median', with fill None"),
        (4, ("inputs", 0, "columns", 1, "fill"), "x", "fill is 'x', not a finite number"),
        (4, ("inputs", 0, "dtype"), "int32", "with fill 1.5 in an input of int32"),
        (4, ("inputs", 1, "columns", 0, "missing"), "mean", "column 'job': missing is 'mean', not one of category"),
        (4, ("inputs", 1, "columns", 0, "fill"), 1.0, "it has a fill or is text"),
        (4, ("inputs", 1, "dtype"), "str", "it has a fill or is text"),
        (0, ("inputs", 1, "columns", 0, "vocabulary"), "xy", "vocabulary is 'xy', not a list"),
        (0, ("inputs", 1, "columns", 0, "vocabulary"), ["x", 1], r"vocabulary\[1\] is 1, not str"),
        (0, ("inputs", 1, "columns", 0, "vocabulary"), ["x", "x"], "'x' is listed twice"),
        (0, ("inputs", 0, "extra"), 1, "has a field 'extra'"),
        (0, ("extra",), 1, "has a field 'extra'"),
        (0, ("reading", "kind"), "guess", "kind is 'guess', not one of label"),
        (0, ("reading", "output"), 7, "output is 7, not str"),
        (1, ("reading", "threshold"), float("nan"), "threshold is nan, not a finite number"),
        (1, ("reading", "threshold"), "0.5", "threshold is '0.5', not a finite number"),
        (1, ("reading", "threshold"), True, "threshold is True, not a finite number"),
        (1, ("reading", "threshold"), 10**400, "not a finite number"),
        (1, ("classes",), ["a", "b", "c"], "decides between two classes, and there are 3"),
        (2, ("reading", "kind"), "probability", "decides between two classes, and there are 3"),
        (1, (*PICTURE, "height"), 1 << 30, "height is 1073741824, not 1 to"),
        (1, (*PICTURE, "width"), 0, "width is 0, not 1 to"),
        (1, (*PICTURE, "width"), 6.0, "width is 6.0, not int"),
        (1, (*PICTURE, "shorter"), -1, "shorter is -1"),
        (1, (*PICTURE, "stretched"), [9, 9], "a height and a width instead of shorter"),
        (1, (*PICTURE, "channels"), 4, "channels is 4, not one of 1, 3"),
        (1, (*PICTURE, "resample"), "magic", "resample is 'magic'"),
        (1, (*PICTURE, "layout"), "chwn", "layout is 'chwn'"),
        (1, (*PICTURE, "mean"), [0.5], r"mean is \[0.5\] for 3 channels"),
        (1, (*PICTURE, "std"), [0.5, 0.5, 0.0], "std is"),
        (1, (*PICTURE, "std"), None, "a mean or a std, and not both"),
        (2, (*TOKENS, "length"), 1 << 40, "length is 1099511627776"),
        (2, (*TOKENS, "part"), "words", "part is 'words'"),
        (2, (*TOKENS, "vocabulary"), 0, "vocabulary is 0"),
        (2, (*TOKENS, "pad"), 100, "pad is 100, not 0 to 99"),
        (2, (*TOKENS, "tokenizer"), None, "tokenizer is None, not str"),
    ],
)
def test_what_no_model_can_be_is_refused_by_name(number, path, value, message):
    with pytest.raises(ValueError, match=message):
        spec_from_json(changed(number, path, value))


@pytest.mark.parametrize("text", ["", "null", "7", "[]", "{}", '"x"', "[" * 100_000, '{"schema": "edgefair.spec/1"}'])
def test_what_is_no_spec_at_all_is_a_value_error(text):
    with pytest.raises(ValueError, match="not a model spec"):
        spec_from_json(text)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(range(len(SPECS))), st.data())
def test_anything_anywhere_is_a_spec_again_or_a_value_error(number, data):
    content = json.loads(SPECS[number].to_json())
    places = [(content, key) for key in content]
    for at, key in places:
        inner = at[key]
        if isinstance(inner, dict | list):
            places += [(inner, deeper) for deeper in (inner if isinstance(inner, dict) else range(len(inner)))]
    at, key = data.draw(st.sampled_from(places))
    at[key] = data.draw(ANYTHING)
    try:
        spec = spec_from_json(json.dumps(content))
    except ValueError:
        return
    assert spec_from_json(spec.to_json()) == spec
