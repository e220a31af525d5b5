"""How the documentation is built: `make docs`, where a warning is an error."""

import re
import sys
from pathlib import Path
from typing import Any

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

# Every other reference must lead somewhere, but for types in signatures: Python's and numpy's pages are elsewhere, and
# the parts of results and of the config have pages made from their schemas (reference/report, reference/config).
nitpicky = True
nitpick_ignore_regex = [
    ("py:class", r"(collections|datetime|numpy|pathlib)\..+"),
    ("py:class", r"edgefair\.(config|debias|decision|measure|report|training|workflow)\..+"),
    # As annotations write them where a name is imported for type checking alone.
    ("py:class", r"(np\.\w+|Path|NDArray|ArrayLike|Field|Name|MetricName|Group|Run|Waiver|ErrorRates|AttributePolicy)"),
    ("py:class", r"(Data|Model|Train|Debias|Compress)Config"),
]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_type_aliases = {"ArrayLike": "ArrayLike"}
autoclass_content = "class"
napoleon_numpy_docstring = False
napoleon_use_ivar = True


def setup(app: Sphinx) -> None:
    """A drawing is shown as its text where nothing draws it; an alias of types by its name, in a union too."""
    app.add_lexer("mermaid", TextLexer)
    app.connect("autodoc-process-signature", named_aliases)


def named_aliases(*event: Any) -> tuple[str | None, str | None]:
    """A signature in which sphinx's own stand-in for an alias of types gives way to the alias."""
    signature, returned = (text and re.sub(r"TypeAliasForwardRef\('(\w+)'\)", r"\1", text) for text in event[-2:])
    return signature, returned
