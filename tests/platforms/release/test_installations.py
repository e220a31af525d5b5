"""The wheel, and the sdist as a clone, installed by the README's words into clean environments and used."""

import tomllib
from functools import partial
from pathlib import Path

import pytest

from edgefair.workflow.project.doctor import OF_DEVELOPERS
from tests.platforms.release.environments import (
    NOTHING_TIMED,
    ROOT,
    begin,
    environment,
    from_a_table_to_a_verdict,
    judge,
    lay_out_a_bundle,
)

SCRIPTS = Path(__file__).parent
pytestmark = [pytest.mark.long, pytest.mark.release]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
# Extras that do not fit beside the others, each with the reason.
APART = {
    "executorch": "it pins the PyTorch that it was built against",
    "tensorrt": "it brings gigabytes of CUDA, for machines that have a GPU",
}
EVERYTHING = sorted(set(EXTRAS) - OF_DEVELOPERS - set(APART))
# An extra -> what it brings, that is not there without it.
BROUGHT = {
    "launch": "accelerate",
    "litert": "ai_edge_litert",
    "networks": "transformers",
    "openvino": "openvino",
    "openvino-ep": "onnxruntime_ep_openvino",
    "optimum": "optimum",
    "peeps": "resvg_py",
    "qnn": "onnxruntime_qnn",
    "ray": "ray",
    "runtimes": "openvino",
    "sklearn": "skops",
    "text": "tokenizers",
    "torch": "torch",
    "tune": "optuna",
}
# An extra -> the target that it makes ready.
TARGETS = {"litert": "litert", "openvino": "openvino", "openvino-ep": "openvino-ep", "qnn": "qnn-simulator"}
# OpenVINO's plugin runs on Intel's processors alone.
RUNNABLE = set(TARGETS.values()) - (set() if "GenuineIntel" in Path("/proc/cpuinfo").read_text() else {"openvino-ep"})


def judge_a_folder_of_hugging_face(place):
    """A network of transformers is converted, compressed and judged."""
    place.run("python", SCRIPTS / "hub.py")
    flags = ("--no-latency", "--no-repair", "--on-inconclusive", "warn", "-c", "hub.yaml")
    place.edgefair("export", "hf:hub", "--int8", *flags)


def judge_a_pipeline(place):
    """A pipeline of scikit-learn is converted and judged."""
    begin(place)
    place.run("python", SCRIPTS / "pipeline.py")
    assert "PASS" in place.edgefair("verify", "pipeline.skops", *NOTHING_TIMED, "--max-eo-gap", "0.2")


def read_texts(place):
    """Texts are read by a tokenizer."""
    place.run("python", SCRIPTS / "texts.py")
    columns = ("--text", "text", "--label", "label", "--positive", "yes", "--sensitive", "sex")
    place.edgefair("init", "--data", "texts.csv", "--tokenizer", "tok", *columns)
    assert "F" in place.edgefair("data", "describe")


def draw_people(place):
    """People are drawn and counted."""
    place.edgefair("init", "--data", "peeps")
    assert "dark" in place.edgefair("data", "describe", "--set", "data.peeps={rows: 100, audit_rows: 100}")


def judge_on(target, place):
    """A bundle is judged on another runtime; skips where that has no device here."""
    if target not in RUNNABLE:
        pytest.skip(f"{target} is installed, and has no device here")
    lay_out_a_bundle(place.folder)
    assert "PASS" in place.edgefair("verify", *NOTHING_TIMED, "--target", target)


# An extra -> what works with it and not without it. Ray has tests of its own; LiteRT's models come from elsewhere.
STORIES = {
    "launch": partial(from_a_table_to_a_verdict, training=("--launcher", "accelerate")),
    "networks": judge_a_folder_of_hugging_face,
    "openvino": partial(judge_on, "openvino"),
    "openvino-ep": partial(judge_on, "openvino-ep"),
    "peeps": draw_people,
    "qnn": partial(judge_on, "qnn-simulator"),
    "sklearn": judge_a_pipeline,
    "text": read_texts,
    "tune": partial(from_a_table_to_a_verdict, training=("--tune", "1")),
}


@pytest.fixture(params=["wheel", "clone"])
def install(request, built):
    """Install edgefair into an environment, with extras or without: from the wheel, or from the unpacked sdist."""

    def installed(place, extras=""):
        brackets = f"[{extras}]" if extras else ""
        if request.param == "wheel":
            place.install(built.shelf, f"./{built.wheel.name}{brackets}")
        else:
            place.install(built.clone, f".{brackets}")

    return installed


def test_the_base_alone_judges_a_ready_model(install, tmp_path):
    with environment(tmp_path) as place:
        install(place)
        judge(place)
        assert place.imports(*BROUGHT.values()) == set()


def test_with_torch_a_table_becomes_a_verdict(install, tmp_path):
    with environment(tmp_path) as place:
        install(place, "torch")
        assert "torch" in place.ready()[0]
        from_a_table_to_a_verdict(place)


def test_with_optimum_a_folder_of_hugging_face_becomes_a_verdict(install, tmp_path):
    with environment(tmp_path) as place:
        install(place, "optimum")
        assert {"optimum", "networks", "text", "torch"} <= place.ready()[0]
        judge_a_folder_of_hugging_face(place)


def test_everything_that_fits_beside_each_other_works_beside_each_other(install, tmp_path):
    with environment(tmp_path) as place:
        install(place, ",".join(EVERYTHING))
        extras, targets = place.ready()
        assert set(EVERYTHING) <= extras
        assert set(TARGETS.values()) <= targets
        from_a_table_to_a_verdict(place, training=("--tune", "1"))
        for target in RUNNABLE & {"openvino", "openvino-ep"}:
            place.edgefair("verify", *NOTHING_TIMED, "--max-eo-gap", "0.2", "--target", target)
        judge_a_folder_of_hugging_face(place)


@pytest.mark.parametrize("extra", sorted(set(EVERYTHING) - {"torch", "optimum"}))
def test_an_extra_alone_brings_what_its_work_needs(built, tmp_path, extra):
    with environment(tmp_path) as place:
        place.install(built.shelf, f"./{built.wheel.name}[{extra}]")
        extras, targets = place.ready()
        assert extra in extras
        assert place.imports(BROUGHT[extra])
        assert extra not in TARGETS or TARGETS[extra] in targets
        if extra in STORIES:
            STORIES[extra](place)


def test_no_extra_is_left_out():
    assert set(BROUGHT) == set(EVERYTHING)
