"""Names with the markup and the commands of every format's reader: text in all of them, and documents stay whole."""

import json
import re
from functools import cache
from xml.etree import ElementTree

import jsonschema
import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from edgefair.report.escape import json_in_a_log, one_line
from edgefair.report.formats import FORMATS
from edgefair.report.formats.base import Item
from edgefair.report.results.failure import Failure
from tests.report.golden_results import UNFAIR, document, report_of
from tests.report.test_standards import SARIF, check_junit

NAMES = {
    "html": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "entity": "&lt;b&gt; &#60;i&#62; &amp;",
    "markdown": "](http://evil) ![x](http://evil/x.png) **b** _i_ ~~s~~ `code` [a]: http://b",
    "autolink": "see www.evil.example https://evil.example a@evil.example @everyone :smile: $x^2$ #1",
    "table": "a | b \\| c \\\\| d",
    "heading": "# PASS",
    "list": "- PASS",
    "numbered": "1. PASS",
    "rule": "---",
    "fence": "```",
    "xml": "]]><testcase/><!-- \x00\x01\x0b\x1f \ufffe\uffff",
    "workflow": "::error file=a::b",
    "workflow old": "x ##[error]y ##vso[task.complete result=Succeeded;]z",
    "workflow stop": "::stop-commands::token",
    "percent": "100%0A::error::x%25",
    "escape": "\x1b[31m\x1b]0;t\x07\x9b1m",
    "lines": "a\nPASS may ship\r\nb\u2028c\x85d",
    "bidi": "\u202egnp.exe\u2066",
    "formula": "=cmd|'/c calc'!A1",
    "at": "@SUM(1)",
    "braces": "{0} {{x}} ${{ secrets.TOKEN }}",
    "yaml": "a: b # c\n---\n- !!python/object x",
    "json": '"}],"x":["\\',
    "surrogate": "\ud800",
    "labels": 'a",gate="eo_gap"} 1\n# EOF',
    "spaces": "  a  ",
}
VERDICTS = [name for name, known in FORMATS.items() if known.can_hold("edgefair.report/2")]


@cache
def hostile(name):
    """A report in which it is the name of everything that a user or a device can name."""
    if name == "\ud800":
        # No policy holds half a letter, and no file that is read; what devices say may.
        return report_of(UNFAIR, targets=(name,), model=name, notes=(name,))
    attribute, groups = name.replace("*", "x").replace("\\", "/"), [f"{name}1", f"{name}2"]
    comparison = {"attribute": attribute, "measure": "FPR", "groups": groups}
    waiver = {"comparison": comparison, "reason": name, "owner": name, "expires": "2999-01-01"}
    return report_of(
        UNFAIR, groups=groups, attribute=attribute, classes=("no", name), targets=(name,), model=name, source=name,
        notes=(name,), waivers=[waiver],
    )  # fmt: skip


@pytest.fixture(params=NAMES)
def name(request):
    return NAMES[request.param]


@pytest.fixture
def items(name):
    return [Item(hostile(name)), Item(hostile(name), name)]


@cache
def written(form, name):
    return document(form, Item(hostile(name)))


@cache
def lines_of_tame(form, *, named):
    """Line breaks where nothing has a hostile name, or where only devices and notes have names."""
    return document(form, Item(hostile("name") if named else report_of(UNFAIR, notes=("a",)))).count("\n")


@pytest.mark.parametrize("form", VERDICTS)
def test_a_document_has_as_many_lines_as_with_tame_names_and_nothing_unseen(form, name):
    text = written(form, name)
    assert not [line for line in text.split("\n") if not line.isprintable()]
    text.encode()
    if form != "terminal":
        assert text.count("\n") == lines_of_tame(form, named=name != "\ud800")


@pytest.mark.parametrize("form", VERDICTS)
def test_no_line_is_a_command_of_a_ci_system_but_those_of_its_own(form, name):
    for line in written(form, name).splitlines():
        command = re.match(r"\s*::([a-z-]+)", line)
        assert command is None or (form == "github" and command[1] == "error")
        assert not re.search(r"##[a-z]*\[", line)


def test_annotations_say_the_name_and_end_where_they_end(name, items):
    lines = document("github", items[0]).splitlines()
    assert len(lines) == 1
    properties, message = lines[0].removeprefix("::error ").split("::", 1)
    assert [item.partition("=")[0] for item in properties.split(",")] == ["file", "line", "title"]
    assert one_line(name) in message.replace("%25", "%")


def test_xml_holds_the_name(name, items):
    root = check_junit(document("junit", *items))
    assert [suite.get("name") for suite in root] == [one_line(name), one_line(f"{name}: {name}")]
    assert len(list(root.iter("testcase"))) == 6
    assert one_line(name) in ElementTree.tostring(root, encoding="unicode", method="text")


def test_markdown_shows_the_name_as_text(name, items):
    for form in ("markdown", "card"):
        chosen = items if FORMATS[form].several else items[:1]
        text = document(form, *chosen)
        text = text.split("\n---\n", 1)[1] if form == "card" else text
        tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(text)
        inline = [child for token in tokens for child in token.children or ()]
        kinds = {token.type for token in (*tokens, *inline)}
        assert not kinds & {"html_block", "html_inline", "link_open", "image", "em_open", "s_open", "code_inline",
                            "fence", "code_block", "hr", "ordered_list_open", "blockquote_open"}  # fmt: skip
        cells, columns = [], 0
        for token in tokens:
            columns = 0 if token.type == "tr_open" else columns + (token.type in {"td_open", "th_open"})
            if token.type == "tr_close":
                cells.append(columns)
        assert set(cells) == ({4, 5} if form == "markdown" else {5})
        said = ["".join(child.content for child in token.children or ()) for token in tokens if token.type == "inline"]
        assert any(one_line(name).strip() in one for one in said)
        # GitHub's own readers look at what is between entities.
        assert not re.search(r"https?://|www\.e|@|:smile:", text.replace("&#64;", ""))


def test_json_documents_are_whole_and_fit_their_schemas(name, items):
    log = json.loads(document("sarif", *items))
    jsonschema.validate(log, SARIF)
    message = log["runs"][0]["results"][0]["message"]["text"]
    assert not re.search(r"(?<!\\)(\\\\)*[\[\]]", message)
    assert "{" not in message.replace("{{", "")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(document("cyclonedx", *items)) is None
    assert len(json.loads(document("gitlab-codequality", *items))) == 2
    assert json.loads(document("badge", items[0]))["message"] == "FAIL"


def test_front_matter_is_one_yaml_document(name, items):
    head = yaml.safe_load(document("card", items[0]).split("\n---\n")[0])
    assert head["model-index"][0]["name"] == one_line(name)


def test_metrics_are_samples_of_one_line(name, items):
    lines = document("gitlab-metrics", *items).splitlines()
    assert lines[-1] == "# EOF"
    assert lines.count("# EOF") == 1
    for line in lines:
        assert line.startswith("# ") or re.fullmatch(r'\w+(\{(\w+="([^"\\\n]|\\["\\n])*",?)+\})? -?[0-9.e+-]+', line), (
            line
        )


@given(st.text('#[]a\\"b:\u00e9', max_size=30))
def test_json_for_a_log_means_what_it_meant(text):
    said = json_in_a_log(json.dumps({text: text}, indent=1))
    assert json.loads(said) == {text: text}
    assert not re.search(r"##[a-z]*\[", said)


def test_errors_say_the_name(name):
    item = Item(Failure("UsageError", f"no file '{name}'", name, name, 2), name)
    for form in (form for form, known in FORMATS.items() if known.can_hold("edgefair.error/1")):
        text = document(form, item)
        assert not [line for line in text.split("\n") if not line.isprintable()]
        assert not [line for line in text.splitlines() if re.match(r"\s*::", line) and form != "github"]
    check_junit(document("junit", item))
    assert document("github", item).count("\n") == 1
