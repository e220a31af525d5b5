"""The HTML report in a real browser: nothing is said on the console, nothing leaves the file, everybody can read it."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from edgefair.report.formats.base import Item
from tests.report.golden_results import document, results
from tests.report.rich_results import compared, explained, pictured, rich
from tests.report.study_results import studies
from tests.report.test_reading import others

HERE = Path(__file__).parent
MODULES = HERE / "node_modules" / "playwright-core"
RESULTS = results()
# One of each kind of page; the others differ in numbers.
PAGES = {name: Item(RESULTS[name]) for name in ("fail", "error", "targets", "groups", "classes", "pool")}
PAGES |= {name: Item(result) for name, result in others().items() if name in {"plan", "diagnosis"}}
PAGES |= {"explanation": Item(explained()), "compare": Item(compared()), "rich": Item(rich())}
PAGES |= {kind: Item(rich(), changed=pictured(kind)) for kind in ("pictures", "texts", "features")}
PAGES |= {name: Item(result) for name, result in studies().items()}
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed"),
    pytest.mark.skipif(not MODULES.is_dir(), reason="run `npm ci --prefix tests/browser` first (make test-browser)"),
]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_quiet_sends_nothing_and_can_be_read_by_everybody_at_any_width(tmp_path, name):
    path = tmp_path / f"{name}.html"
    path.write_text(document("html", PAGES[name]))
    looked = subprocess.run(
        ["node", HERE / "look.mjs", path, tmp_path / name], capture_output=True, text=True, check=True, timeout=300
    )
    found = json.loads(looked.stdout)
    assert found["messages"] == []
    assert found["requests"] == []
    assert found["violations"] == []
    assert found["overflow"] == {"light-1100": 0, "dark-1100": 0, "light-360": 0}
    assert (tmp_path / f"{name}.pdf").read_bytes().startswith(b"%PDF")
    assert found["outside"] == 0, "pictures of rows lie within their frames on paper"
    assert found["printed"] == found["details"], "what is folded on a screen is there on paper"
