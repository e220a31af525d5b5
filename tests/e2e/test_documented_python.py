"""What the README and the documentation show of the Python interface runs as it stands there."""

import inspect
import re
from pathlib import Path

import pytest
import yaml

import edgefair
from tests.e2e.commands import CONFIG, write_people

ROOT = Path(edgefair.__file__).parent.parent
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = [
    pytest.param(block, id=f"{path.name}-{number}")
    for path in DOCUMENTS
    for number, block in enumerate(BLOCK.findall(path.read_text()))
]


def test_the_readme_has_an_example():
    assert BLOCK.search((ROOT / "README.md").read_text())


@pytest.mark.parametrize("block", BLOCKS)
def test_a_documented_example_runs(block, tmp_path, monkeypatch, capsys):
    write_people(tmp_path)
    config = yaml.safe_load(CONFIG.format(label="fair", other="unfair"))
    (tmp_path / "edgefair.yaml").write_text(yaml.safe_dump({**config, "train": {"epochs": 1}}))
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "example", "exec"), {})
    assert capsys.readouterr().out.split()[0] in {"PASS", "FAIL", "INCONCLUSIVE"}


def test_every_public_function_that_takes_a_path_takes_its_text():
    taken = 0
    for name in edgefair.__all__:
        function = getattr(edgefair, name)
        if not inspect.isfunction(function):
            continue
        for argument, kind in inspect.get_annotations(function).items():
            parts = [part.strip() for part in kind.split("|")]
            if "Path" in parts and argument != "return":
                assert "str" in parts, f"{name}({argument})"
                taken += 1
    assert taken
