"""Every key of the JSON report as a page, from the schema that reports are written by."""

from pathlib import Path
from typing import Any

from config_reference import cell, said, takes
from sphinx.application import Sphinx

from edgefair.report.schema import schema_of

PAGE = "reference/report.md"
HEAD = """# The JSON report

What `--format json`, `--report FILE` and `report.json` in a bundle hold. `edgefair report --schema` prints the JSON
Schema that this page is made from. Keys are only ever added within one version of the schema:
[stability](stability.md). What the numbers are: [metrics](metrics.md).
"""


def setup(app: Sphinx) -> dict[str, Any]:
    """Write the page before the others are read."""
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True}


def write(app: Sphinx) -> None:
    """Write the page where it is not yet as it should be."""
    path, text = Path(app.srcdir) / PAGE, page(schema_of("report"))
    if not path.is_file() or path.read_text() != text:
        path.write_text(text)


def page(schema: dict[str, Any]) -> str:
    """The whole page as Markdown: the report, then each part of it."""
    parts = [("The report", schema), *schema["$defs"].items()]
    return HEAD + "".join(section(name, part, schema) for name, part in parts if "properties" in part)


def section(name: str, part: dict[str, Any], schema: dict[str, Any]) -> str:
    """One part with its keys."""
    rows = [
        f"| `{key}` | {cell(kind(value, schema))} | {cell(said(value))} |" for key, value in part["properties"].items()
    ]
    table = "\n".join(["| key | holds | what it is |", "|---|---|---|", *rows])
    return f"\n## {name}\n\n{said(part) if part is not schema else ''}\n\n{table}\n"


def kind(value: dict[str, Any], schema: dict[str, Any]) -> str:
    """What a key holds, in words: another part by its name."""
    for form in ("{}", "a list of {}"):
        inner = value if form == "{}" else value.get("items", {})
        parts = [part["$ref"].rsplit("/", 1)[1] for part in (inner, *inner.get("anyOf", ())) if "$ref" in part]
        if parts and "properties" in schema["$defs"][parts[0]]:
            return form.format(f"[{parts[0]}](#{parts[0].lower()})")
    return takes(value, schema)
