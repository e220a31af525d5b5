"""`make sbom`: what it writes is CycloneDX by the published schema, and lists what is installed."""

import json
import shutil
import sys

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from edgefair._version import __version__
from tests.platforms.release.environments import done

pytestmark = [pytest.mark.long, pytest.mark.release]


@pytest.mark.parametrize(("extra", "named"), [("", "onnxruntime"), ("[torch]", "torch")], ids=["base", "torch"])
def test_an_sbom_is_valid_and_lists_edgefair_and_what_it_takes(built, tmp_path, extra, named):
    virtual = tmp_path / "environment"
    settings = (f"PYTHON={sys.executable}", f"VENV={virtual}", f"SBOM_EXTRA={extra}")
    try:
        done("make", "--silent", "sbom", *settings, cwd=built.sources)
    finally:
        for made in tmp_path.glob("environment*"):
            shutil.rmtree(made)
    written = (built.sources / "sbom.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(written) is None
    versions = {component["name"]: component["version"] for component in json.loads(written)["components"]}
    assert versions["edgefair"] == __version__
    assert named in versions
    assert ("torch" in versions) == (extra == "[torch]")
