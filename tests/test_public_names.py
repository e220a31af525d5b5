"""What the package shows of itself."""

import inspect
import pydoc
import subprocess
import sys
from pathlib import Path

import edgefair
from edgefair.versions import version_of, versions_of

ROOT = Path(edgefair.__file__).parent.parent


def test_every_public_name_is_listed_and_has_its_help():
    assert set(dir(edgefair)) == set(edgefair.__all__)
    said = pydoc.plain(pydoc.render_doc(edgefair))
    for name in set(edgefair.__all__) - {"__version__"}:
        assert name in said
    assert "explain" in edgefair.__all__


def test_every_public_function_says_what_it_does():
    for name in edgefair.__all__:
        item = getattr(edgefair, name)
        if inspect.isroutine(item):
            assert inspect.getdoc(item), name
            assert "at 0x" not in str(inspect.signature(item)), name


def test_a_source_tree_without_metadata_knows_the_versions_of_its_packages(tmp_path):
    """The packages lie in a folder of their own, without what pip writes beside them."""
    (tmp_path / "odd.py").write_text('__version__ = "1.2"\n')
    code = "from edgefair.versions import versions_of; print(versions_of(('odd', 'not_there')))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}"},
    )
    assert done.stdout == "{'odd': '1.2'}\n"
    assert version_of("not_there") is None
    assert versions_of(["numpy"]) == {"numpy": version_of("numpy")}
