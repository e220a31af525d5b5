"""A small project as its parts see it: a config, its rows, and a real model of them."""

import numpy as np
import pyarrow
import pyarrow.parquet

from edgefair.config import parse_config
from edgefair.data.dataset import load
from edgefair.progress import silent
from edgefair.workflow.compression.candidates import Candidates
from edgefair.workflow.job import Job
from edgefair.workflow.models.reference import Reference
from tests.targets.onnx_models import SPEC, classifier

ROWS = 600


def columns_of(seed=0):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, ROWS))
    return {
        "id": [f"person {row}" for row in range(ROWS)],
        "a": a,
        "b": b,
        "sex": rng.choice(["F", "M"], ROWS),
        "hired": np.where(a + 0.5 * b + 0.3 * rng.normal(size=ROWS) < 0, "yes", "no"),
        "part": rng.choice(["train", "validation", "audit"], ROWS),
    }


def project(folder, columns=None, data=None, **sections):
    """The config and the rows of all parts."""
    pyarrow.parquet.write_table(pyarrow.table(columns_of() if columns is None else columns), folder / "people.parquet")
    section = {
        "source": "people.parquet", "label": "hired", "positive": "yes", "sensitive": ["sex"], "features": ["a", "b"],
        "split": {"column": "part", "train": ["train"], "validation": ["validation"], "audit": ["audit"]},
    }  # fmt: skip
    content = {
        "project": "people",
        "data": section | (data or {}),
        "policy": {"attributes": {"sex": {"groups": ["F", "M"]}}},
    }
    config = parse_config(content | sections, base=folder)
    return config, load(config.data, base=folder, roles=["audit"], optional=["train", "validation"])


def dense_of(folder):
    """The model before compression, which carries its spec."""
    return Reference(SPEC, classifier(folder / "model.onnx"), {"model": "model.onnx"})


def candidates_of(folder, **sections):
    """What makes the project's compressed files."""
    config, data = project(folder, **sections)
    (folder / "work").mkdir(exist_ok=True)
    return Candidates(Job(config, data, silent), dense_of(folder), None, folder / "work")
