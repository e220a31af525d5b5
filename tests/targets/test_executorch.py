"""ExecuTorch: .pte programs as they are, with the bare runtime's decisions."""

import numpy as np
import pytest
from click.testing import CliRunner

import edgefair
from edgefair.bundle.manifest import open_bundle
from edgefair.cli import main
from edgefair.config import load_config
from edgefair.errors import MeasurementError, ModelError
from edgefair.probe.bundles.runtime import load
from edgefair.probe.formats.appended import with_appended
from edgefair.probe.onnx_files.spec import SPEC_METADATA_KEY, Column, InputSpec, ModelSpec, Reading
from edgefair.targets import load_profile, open_target
from edgefair.targets.profile import TargetProfile
from tests.e2e.commands import CONFIG, write_people
from tests.targets.bare import executorch_output
from tests.targets.people import report, run, write_project
from tests.targets.pte_models import program

pytestmark = [pytest.mark.runtimes, pytest.mark.filterwarnings("ignore")]
SPEC = ModelSpec(
    (InputSpec("input_0", "float32", (Column("a"), Column("b"))),),
    Reading("output_0", "probabilities"),
    ("no", "yes"),
)


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    pytest.importorskip("executorch.runtime", reason="executorch is not installed")
    folder = tmp_path_factory.mktemp("programs")
    made = {"one": {}, "many": {"rows": -1}, "portable": {"backend": False}, "four": {"rows": 4}}
    return {name: program(folder / f"{name}.pte", **options) for name, options in made.items()}


def outputs(path, x):
    with open_target(load_profile("executorch"), timeout_s=120) as probe:
        model = probe.load(path, name="m")
        (found,) = probe.run(model, iter([{"input_0": x}]), ["output_0"])
        return found["output_0"], model


def test_outputs_are_those_of_a_bare_script(programs):
    x = (np.random.default_rng(0).normal(size=(150, 2)) * 3).astype(np.float32)
    for name, backends in (("one", "XnnpackBackend"), ("portable", "none")):
        found, model = outputs(programs[name], x)
        assert np.array_equal(found, executorch_output(programs[name], x))
        assert model.engine == {"backends": backends}
        assert model.takes_one_row
    together, model = outputs(programs["many"], x)
    assert not model.takes_one_row
    assert np.allclose(together, found, atol=1e-6)


def test_a_program_is_judged_beside_an_onnx_reference(programs, tmp_path):
    project = write_project(tmp_path)
    path = project / "m.pte"
    path.write_bytes(with_appended(programs["one"].read_bytes(), {SPEC_METADATA_KEY: SPEC.to_json()}))
    code, found = report(
        "verify", project, path, "--reference", project / "model.onnx", "--no-latency", "--target", "executorch"
    )
    assert code == 0
    assert found["targets"][0]["device"]["engine"] == {"backends": "XnnpackBackend"}
    assert sum(cell["flipped"] for cell in found["targets"][0]["flips"]) == 0


def test_a_bundle_of_a_program_serves_the_decisions_of_the_bare_runtime(programs, tmp_path):
    project = write_project(tmp_path)
    path, bundle = project / "m.pte", project / "dist"
    path.write_bytes(with_appended(programs["one"].read_bytes(), {SPEC_METADATA_KEY: SPEC.to_json()}))
    code, _ = report("export", project, path, "--target", "executorch", "--no-latency", "-o", bundle)
    assert code == 0
    assert open_bundle(bundle).model.name == "model.pte"
    x = (np.random.default_rng(0).normal(size=(50, 2)) * 3).astype(np.float32)
    decided = load(bundle).predict({"a": x[:, 0].tolist(), "b": x[:, 1].tolist()}).decision
    assert decided == np.array(["no", "yes"])[executorch_output(path, x).argmax(axis=1)].tolist()


def test_what_cannot_be_fed_or_is_not_whole_is_refused(programs, tmp_path):
    project = write_project(tmp_path)
    content = programs["one"].read_bytes()
    for name, held, why in (
        ("four.pte", programs["four"].read_bytes(), "has shape [4, 2], whose first dimension is no batch of one"),
        ("cut.pte", content[: len(content) // 2], "cannot be loaded"),
        ("cut2.pte", content[:-300], "a segment lies beyond its end"),
    ):
        (project / name).write_bytes(held)
        done = run("verify", project, project / name, "--uncompressed", "--no-latency", "--target", "executorch")
        assert (done.exit_code, done.stdout) == (2, "")
        assert why in done.stderr.replace("\n", " ")
    with open_target(load_profile("local")) as probe, pytest.raises(ModelError, match="whose runtime is executorch"):
        probe.load(programs["one"], name="m")


def test_threads_that_are_not_used_and_settings_that_are_not_there_are_errors(programs):
    with pytest.raises(ValueError, match="ExecuTorch has no settings"):
        TargetProfile(name="t", transport="local", runtime="executorch", config={"backend": "XnnpackBackend"})
    profile = load_profile("executorch").model_copy(update={"optimization": "basic"})
    with open_target(profile, timeout_s=120) as probe, pytest.raises(MeasurementError, match="has no settings"):
        probe.load(programs["one"], name="m")


def test_a_run_becomes_a_program_that_carries_its_spec_and_decides_as_the_onnx_file(programs, tmp_path):
    write_people(tmp_path)
    (tmp_path / "edgefair.yaml").write_text(CONFIG.format(label="fair", other="unfair"))
    loose = {"train.epochs": 1, "policy.max_eo_gap": 1.0, "policy.min_balanced_accuracy": 0.0}
    config = load_config(tmp_path / "edgefair.yaml", loose)
    edgefair.train(config, name="plain")
    edgefair.export(config, run="plain", output=tmp_path / "fp32", latency=False)
    made = CliRunner().invoke(
        main, ["target", "program", "-c", str(tmp_path / "edgefair.yaml"), "-o", str(tmp_path / "m.pte")]
    )
    assert made.exit_code == 0, made.stderr
    on = config.model_copy(update={"targets": ["executorch"]})
    found = edgefair.verify(on, tmp_path / "m.pte", reference=tmp_path / "fp32" / "model.onnx", latency=False)
    assert found.outcome == "PASS"
    assert sum(cell.flipped for cell in found.targets[0].flips) <= 2, "of 8,000: float32 sums in another order"
