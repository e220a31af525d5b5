"""One INT8 file, fair on one processor and unfair on another. Its repair is in `test_ssh_export.py`, on a fleet."""

import json

import pytest

from edgefair.bundle.manifest import open_bundle
from edgefair.probe.device import fingerprint, saturates_int8
from tests.compress.quantization.brightness import SATURATES
from tests.e2e.commands import run
from tests.e2e.stripes import ROWS, gaps, haswell, outcomes, write_haswell, write_stripes

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.target,
    pytest.mark.skipif(saturates_int8(fingerprint()), reason="this processor has no VNNI: it saturates itself"),
]


@pytest.fixture
def stripes(tmp_path, monkeypatch):
    write_stripes(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def export(*arguments):
    done = run("export", "stripes.onnx", "--int8", "--no-latency", "--target", "local", *arguments)
    return done.exit_code, " ".join(done.stdout.split())


def test_without_repair_the_file_passes_here_and_the_processor_without_vnni_blocks_it(stripes):
    code, said = export("--target", write_haswell(stripes, reduce_range=False), "--no-repair")
    assert code == 1
    assert [path.name for path in (stripes / "dist").iterdir()] == ["stripes.blocked.json"]
    report = json.loads((stripes / "dist/stripes.blocked.json").read_text())
    assert outcomes(report) == {"local": "PASS", "haswell": "FAIL"}
    assert gaps(report)["local"] < 0.02
    assert gaps(report)["haswell"] > 0.3
    (pair,) = report["disagreements"]
    differing = {item["group"]: item["differing"] for item in pair["groups"]}
    assert differing == {"dark": 0, "bright": pair["differing"]}
    assert f"local and haswell {pair['differing']} of {ROWS} rows light = bright" in said
    assert "PASS and FAIL: THEY DISAGREE" in said
    assert (pair["begins_in"]["node"], pair["begins_in"]["weight"]) == (SATURATES, "w2")
    assert "local and haswell begin to differ in Conv 'stripes' (weight 'w2'): from inputs that agree" in said


def test_the_shipped_profile_asks_for_seven_bits_and_leaves_nothing_to_repair(stripes):
    code, said = export("--target", haswell().name, "--no-repair")
    assert code == 0, said
    assert open_bundle(stripes / "dist/stripes").manifest.settings["reduce_range"] is True
    report = json.loads((stripes / "dist/stripes/report.json").read_text())
    assert outcomes(report) == {"local": "PASS", "qemu:haswell": "PASS"}
    assert max(gaps(report).values()) < 0.02
