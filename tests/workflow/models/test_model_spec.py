"""A model's spec is its own word, compared with its graph and with the data."""

from dataclasses import replace

import pytest

from edgefair.errors import ModelError
from edgefair.targets import load_profile, open_target
from edgefair.workflow.models.spec import check_classes, spec_of
from tests.targets.onnx_models import SPEC, classifier


def loaded(path):
    with open_target(load_profile("local")) as probe:
        return probe.load(path, name="candidate")


def never(model):
    pytest.fail("the file carries a spec, and nobody is asked for another")


def test_the_spec_that_a_file_carries_is_its_spec(tmp_path):
    assert spec_of(loaded(classifier(tmp_path / "m.onnx")), never, SPEC.classes) == SPEC


def test_a_file_without_one_is_read_as_the_fallback_says_if_the_graph_fits(tmp_path):
    model = loaded(classifier(tmp_path / "m.onnx", spec=None))
    assert spec_of(model, lambda _: SPEC, SPEC.classes) == SPEC
    wrong = replace(SPEC, inputs=(replace(SPEC.inputs[0], columns=SPEC.inputs[0].columns[:1]),))
    with pytest.raises(ModelError, match="x"):
        spec_of(model, lambda _: wrong, SPEC.classes)


def test_a_spec_that_cannot_be_read_is_not_replaced_by_the_fallback(tmp_path):
    class Damaged:
        def to_json(self):
            return '{"schema": "edgefair.spec/1"'

    with pytest.raises(ModelError, match="carries a spec that cannot be read"):
        spec_of(loaded(classifier(tmp_path / "m.onnx", spec=Damaged())), never, SPEC.classes)


@pytest.mark.parametrize("found", [("0.0", "1"), ("0", "1.0"), ("0", "1")])
def test_classes_are_compared_in_one_spelling(found):
    check_classes("m", found, ("0", "1"))


def test_the_same_classes_in_another_order_are_refused_with_the_order_to_set():
    with pytest.raises(ModelError) as caught:
        check_classes("m", ("yes", "no"), ("no", "yes"))
    assert "data.classes: [yes, no]" in caught.value.fix
    with pytest.raises(ModelError) as caught:
        check_classes("m", ("no", "maybe"), ("no", "yes"))
    assert "data.merge" in caught.value.fix
