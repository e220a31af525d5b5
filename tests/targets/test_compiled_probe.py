"""What the probe of this machine runs is compiled already; what it runs is its source all the same."""

import importlib.util
import io
import os
import subprocess
import sys
import zipfile

import pytest

from edgefair.targets.transports import zipapp

# Loads every module of the archive and says the sources of which it has compiled.
COUNTS = """
import importlib, sys, zipimport
sys.path.insert(0, sys.argv[1])
compiled, compile_source = [], zipimport._compile_source
zipimport._compile_source = lambda path, source: compiled.append(path) or compile_source(path, source)
for name in sys.argv[2:]:
    importlib.import_module(name)
print(*(path.partition(".pyz/")[2] for path in compiled))
"""
MODULES = ["edgefair.probe.wire", "edgefair.probe.runtimes.models", "edgefair.probe.clock.latency"]


def compiled_in(archive, path):
    """The sources that a Python compiles when it loads some modules of the archive."""
    path.write_bytes(archive)
    command = [sys.executable, "-I", "-c", COUNTS, str(path), *MODULES]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def test_the_probe_of_this_machine_compiles_none_of_its_modules(tmp_path):
    assert len(compiled_in(zipapp.build_zipapp(), tmp_path / "sources.pyz")) > len(MODULES)
    # The package above the probe is an empty file.
    assert set(compiled_in(zipapp.build_compiled(), tmp_path / "compiled.pyz")) == {"edgefair/__init__.py"}


def test_what_another_python_has_compiled_is_not_taken(tmp_path, monkeypatch):
    own = compiled_in(zipapp.build_zipapp(), tmp_path / "sources.pyz")
    other = importlib.util.MAGIC_NUMBER[:2] + b"\0\0"
    monkeypatch.setattr("edgefair.targets.transports.zipapp.importlib.util.MAGIC_NUMBER", other)
    assert compiled_in(zipapp.build_compiled(), tmp_path / "others.pyz") == own


@pytest.mark.parametrize("kept", [True, False])
def test_a_module_that_was_changed_is_compiled_anew(tmp_path, monkeypatch, kept):
    monkeypatch.setattr(sys, "dont_write_bytecode", not kept)
    monkeypatch.setattr(zipapp, "FOLDER", tmp_path)
    module = tmp_path / "answer.py"

    def answer():
        found = {}
        archive = zipfile.ZipFile(io.BytesIO(zipapp.build_compiled()))
        archive.extract("edgefair/probe/answer.pyc", tmp_path / "out")
        spec = importlib.util.spec_from_file_location("answer", tmp_path / "out/edgefair/probe/answer.pyc")
        exec(spec.loader.get_code("answer"), found)
        return found["ANSWER"]

    for number, written in enumerate(("ANSWER = 1\n", "ANSWER = 22\n")):
        module.write_text(written)
        os.utime(module, (1_000_000 + number, 1_000_000 + number))
        assert [answer(), answer()] == [int(written.split()[-1])] * 2
    assert (tmp_path / "__pycache__").exists() is kept
