"""Every place where something from outside is read.

A surface is a function of (random numbers, base project, folder of this case) that returns a `Case`; the folder is a
copy of the base project.
"""

import os
from pathlib import Path

import onnx

from tests.fuzz.fuzz_arguments import config, options, settings
from tests.fuzz.fuzz_case import invoke
from tests.fuzz.fuzz_cells import pictures, tokenizer
from tests.fuzz.fuzz_device import replace_local
from tests.fuzz.fuzz_models import bundle, keys, onnx_file, profile, recipe, run_folder, spec
from tests.fuzz.fuzz_tables import account, csv, layouts, ledger, npz, parquet, record
from tests.fuzz.fuzz_wire import answers, frames

# Surface -> its share of all inputs.
SURFACES = {
    config: 10, settings: 12, options: 12, csv: 6, parquet: 6, npz: 6, record: 8, pictures: 8, tokenizer: 4,
    onnx_file: 6, spec: 5, profile: 5, recipe: 3, keys: 4, bundle: 8, run_folder: 4, answers: 5, frames: 8, ledger: 3,
    layouts: 4, account: 3,
}  # fmt: skip


SURFACES_BY_NAME = {surface.__name__: surface for surface in SURFACES}


def finish_project(base: Path) -> None:
    """What is made by edgefair itself: the record of the unfair model and the signed bundle of the fair one."""
    os.chdir(base)
    replace_local()
    code, said = invoke(["verify", "unfair.onnx", "--no-latency", "--record", "raw.npz"])
    assert code == 1, said
    code, said = invoke(["export", "fair.onnx", "--no-latency", "--sign", "key.pem", "-o", "dist/signed"])
    assert code == 0, said
    model = onnx.load_model(base / "dist/signed/model.onnx")
    (base / "spec.json").write_text(next(item.value for item in model.metadata_props if item.key == "edgefair.spec"))
