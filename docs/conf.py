"""How the documentation is built: `make docs`, where a warning is an error."""

import sys
from pathlib import Path

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "edgefair"
author = "The edgefair maintainers"
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "config_reference",
    "report_reference",
]
exclude_patterns = ["_build", "_ext"]
html_theme = "furo"
html_title = "edgefair"
html_copy_source = False

myst_heading_anchors = 4
# Pages link to sources, examples and schemas beside them; a repository shows those, a site does not.
suppress_warnings = ["myst.xref_missing"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autoclass_content = "class"
napoleon_numpy_docstring = False
napoleon_use_ivar = True


def setup(app: Sphinx) -> None:
    """A drawing is shown as its text where nothing draws it."""
    app.add_lexer("mermaid", TextLexer)
