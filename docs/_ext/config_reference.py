"""Every key of edgefair.yaml as a page, from the schema that the config is checked by."""

from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from edgefair.workflow.project.init import config_schema

PAGE = "reference/config.md"


def setup(app: Sphinx) -> dict[str, Any]:
    """Write the page before the others are read."""
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True}


def write(app: Sphinx) -> None:
    """Write the page where it is not yet as it should be."""
    path, text = Path(app.srcdir) / PAGE, page(config_schema())
    if not path.is_file() or path.read_text() != text:
        path.write_text(text)


def page(schema: dict[str, Any]) -> str:
    """The whole page as Markdown."""
    lines = ["# edgefair.yaml", "", "Every key. Flags override it (`--set KEY=VALUE` works for all), and"]
    lines += ["`edgefair init` writes a first one. Its JSON Schema: `edgefair init --schema`."]
    for key, value in schema["properties"].items():
        kind = named(value)
        if kind is None:
            lines += ["", f"## {key}", "", value.get("description", ""), "", kind_of(value, schema)]
        else:
            lines += ["", f"## {key}", *section(kind, key, schema, ())]
    return "\n".join(lines) + "\n"


def section(kind: str, prefix: str, schema: dict[str, Any], inside: tuple[str, ...]) -> list[str]:
    """A table of the keys of a section, and below it those of the sections inside."""
    found = schema["$defs"][kind]
    keys = found["properties"]
    rows = [f"| `{key}` | {cell(kind_of(value, schema))} | {cell(said(value))} |" for key, value in keys.items()]
    lines = [
        "",
        found.get("description", "").split("\n\n")[0],
        "",
        "| key | takes | what it is |",
        "|---|---|---|",
        *rows,
    ]
    for key, value in keys.items():
        inner = named(value)
        if inner is not None and inner not in inside:
            lines += ["", f"### {prefix}.{key}", *section(inner, f"{prefix}.{key}", schema, (*inside, kind))]
    return lines


def named(value: dict[str, Any]) -> str | None:
    """The section that a key holds, alone, in a list or under names; None where it holds plain values."""
    parts = [value, *value.get("anyOf", ()), *value.get("allOf", ())]
    parts += [part["items"] for part in parts if isinstance(part.get("items"), dict)]
    parts += [part["additionalProperties"] for part in parts if isinstance(part.get("additionalProperties"), dict)]
    return next((part["$ref"].rsplit("/", 1)[1] for part in parts if "$ref" in part), None)


def kind_of(value: dict[str, Any], schema: dict[str, Any]) -> str:
    """What a key takes, in words, with its default."""
    default = value.get("default")
    words = takes(value, schema)
    return words if default in (None, [], {}) else f"{words}; default `{default}`"


def takes(value: dict[str, Any], schema: dict[str, Any]) -> str:
    """What a key takes, in words."""
    if "anyOf" in value:
        words = [takes(part, schema) for part in value["anyOf"] if part.get("type") != "null"]
        return " or ".join(dict.fromkeys(words))
    if "enum" in value:
        return ", ".join(f"`{item}`" for item in value["enum"])
    if "const" in value:
        return f"`{value['const']}`"
    if "$ref" in value:
        target = schema["$defs"][value["$ref"].rsplit("/", 1)[1]]
        return takes(target, schema) if "enum" in target else "a section"
    match value.get("type"):
        case "array":
            return f"a list of {takes(value['items'], schema)}" if isinstance(value.get("items"), dict) else "a list"
        case "object":
            inner = value.get("additionalProperties")
            return f"names, each with {takes(inner, schema)}" if isinstance(inner, dict) else "names with values"
        case "string":
            return "text"
        case "integer" | "number" as name:
            return f"{'a whole number' if name == 'integer' else 'a number'}{bounds(value)}"
        case "boolean":
            return "`true` or `false`"
    return "a value"


def bounds(value: dict[str, Any]) -> str:
    """Between which numbers."""
    words = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}
    return "".join(f" {word} {value[key]:g}" for key, word in words.items() if key in value)


def said(value: dict[str, Any]) -> str:
    """The description, in one line."""
    return " ".join(value.get("description", "").split())


def cell(text: str) -> str:
    """Text that stays within one cell of a table."""
    return text.replace("|", "\\|")
