"""A device that describes the model otherwise than its file does decides nothing about how it is judged."""

from dataclasses import replace

import numpy as np
import pytest

from edgefair.errors import MeasurementError
from edgefair.probe.onnx_files.spec import Reading
from edgefair.progress import silent
from edgefair.workflow.measurement.measure import measure
from tests.targets.onnx_models import SPEC, classifier
from tests.targets.scripted import scripted
from tests.targets.test_lying_devices import rows

# The real probe, which says of every model what `LIE` makes of the truth `said`.
TALKING = """
import json
import edgefair.probe.__main__ as probe
from edgefair.probe.runtimes.models import Loaded
honest = Loaded.describe
def describe(self):
    said = honest(self)
    said["metadata"] = {"edgefair.spec": LIE}
    return said
Loaded.describe = describe
probe.main()
"""
STRICT = replace(SPEC, reading=Reading("score", "probabilities", threshold=0.9))


def decisions(path, lie):
    with scripted(TALKING.replace("LIE", lie)) as probe:
        return measure(
            probe,
            path,
            rows(),
            classes=("no", "yes"),
            reference=None,
            fallback_spec=lambda _: pytest.fail("the file has a spec"),
            with_latency=False,
            progress=silent,
        ).decisions


def test_an_honest_device_decides_by_the_threshold_in_the_file(tmp_path):
    found = decisions(classifier(tmp_path / "m.onnx", spec=STRICT), "said['metadata']['edgefair.spec']")
    columns = rows().table.columns
    assert np.array_equal(found, (2 * (columns["a"] + 0.5 * columns["b"]) < -np.log(9)).astype(int))


@pytest.mark.parametrize(
    "lie",
    [
        "said['metadata']['edgefair.spec'].replace('0.9', 'null')",
        repr(SPEC.to_json()),
        "said['metadata']['edgefair.spec'].replace('[\"no\",\"yes\"]', '[\"yes\",\"no\"]')",
    ],
    ids=["no threshold", "another spec", "classes the other way round"],
)
def test_a_device_that_says_another_spec_than_the_file_is_no_measurement(tmp_path, lie):
    with pytest.raises(MeasurementError, match=r"a different 'edgefair\.spec' in the model's metadata than the file"):
        decisions(classifier(tmp_path / "m.onnx", spec=STRICT), lie)
