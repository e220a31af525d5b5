"""A training run as a program of another runtime: by the file's suffix, with its spec, in float and in 8 bits."""

from dataclasses import replace

import pytest

import edgefair
from edgefair.config import parse_config
from edgefair.errors import DataError, UsageError
from edgefair.exporters.programs import PROGRAMS
from edgefair.exporters.programs.litert import WRITER as LITERT
from edgefair.progress import silent
from edgefair.workflow.compression import programs
from edgefair.workflow.compression.programs import write_program
from edgefair.workflow.models.trained import trained_model

GROUPS = ["majority", "minority"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A project of glyphs with a run, small enough for anything."""
    config = {
        "project": "glyphs",
        "data": {"source": "glyphs", "glyphs": {"rows": 800, "audit_rows": 80, "size": 16}},
        "model": {"network": "resnet-18", "options": {"width": 0.0625}, "picture": {"height": 16, "width": 16}},
        "train": {"epochs": 4, "batch_rows": 64, "learning_rate": 3e-3},
        "policy": {
            "max_eo_gap": 1.0,
            "min_cell_rows": 1,
            "attributes": {"group": {"groups": ["majority", "minority"]}},
        },
    }
    found = parse_config(config, base=tmp_path_factory.mktemp("programs"))
    edgefair.train(found, name="run")
    return found


@pytest.mark.parametrize(
    ("name", "int8", "said"),
    [("m.onnx", False, "says no runtime"), ("m", False, "says no runtime"), ("m.pte", True, "stay in float here")],
)
def test_what_no_program_is_made_of_is_said_before_anything_is_exported(trained, name, int8, said):
    with pytest.raises(UsageError, match=said):
        write_program(trained, "run", trained.base / name, int8=int8)
    assert not (trained.base / name).exists()


def test_a_converter_that_is_missing_is_named_with_the_command_that_brings_it(trained):
    try:
        import litert_torch  # noqa: F401
    except ImportError:
        with pytest.raises(UsageError, match="litert_torch") as raised:
            write_program(trained, "run", trained.base / "m.tflite")
        assert "pip install litert-torch" in raised.value.fix
    else:
        pytest.skip("litert-torch is installed")


def test_a_row_that_cannot_calibrate_is_told_and_not_taken_for_a_fault_of_the_network(trained, monkeypatch):
    broken = DataError("picture 3 cannot be read")

    def rows(*_):
        raise broken
        yield

    writer = replace(LITERT, lower=lambda *_: b"", quantize=lambda _, rows: bytes(len(list(rows))))
    monkeypatch.setitem(PROGRAMS, ".tflite", writer)
    monkeypatch.setattr(programs, "_calibration_rows", rows)
    with pytest.raises(DataError, match="picture 3 cannot be read") as raised:
        write_program(trained, "run", trained.base / "m.tflite", int8=True)
    assert raised.value is broken


@pytest.mark.runtimes
@pytest.mark.parametrize("int8", [False, True])
def test_a_run_as_a_litert_program_decides_as_its_onnx_file_but_for_rounding(trained, int8):
    pytest.importorskip("litert_torch", reason="litert-torch is not installed (docs/runtimes.md)")
    path = trained.base / f"{int8}.tflite"
    write_program(trained, "run", path, int8=int8)
    fp32 = trained_model(trained, "run", trained.base / f"fp32{int8}" / "fp32.onnx", silent).path
    config = trained.model_copy(update={"targets": ("litert",)})
    (item,) = edgefair.verify(config, path, reference=fp32, latency=False).targets
    flipped = sum(cell.flipped for cell in item.flips)
    assert flipped <= (8 if int8 else 0), "of 80 rows"
    assert bool(item.device["engine"]["quantized"]) == int8
