"""Laws of the house: rooms that are not crowded, doors that open one way, and a word at each of them."""

import ast
import itertools
from collections import defaultdict
from pathlib import Path

import grimp
import pytest

import edgefair

PACKAGE = Path(edgefair.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
MOST_FILES, MOST_LINES, MOST_PARAMETERS = 16, 320, 8
# Files that may be longer, each with the reason.
LONG = {
    "decision/family.py": "one claim over all pairs, from their limits to what is said of each",
    "decision/policy.py": "one section of edgefair.yaml with all its keys",
}
REASON = "More than eight parameters:"


def name_of(path):
    return path.relative_to(PACKAGE).as_posix()


def tree_of(path):
    return ast.parse(path.read_text(), str(path))


def test_every_folder_says_what_lives_there():
    folders = {path.parent for path in FILES}
    silent = [
        name_of(folder)
        for folder in sorted(folders)
        if not (folder / "__init__.py").is_file() or not ast.get_docstring(tree_of(folder / "__init__.py"))
    ]
    assert not silent


def test_no_folder_is_crowded():
    side_by_side = defaultdict(list)
    for path in FILES:
        if path.name != "__init__.py":
            side_by_side[name_of(path.parent)].append(path.name)
    assert not {folder: len(files) for folder, files in side_by_side.items() if len(files) > MOST_FILES}


def test_no_file_is_long_without_a_reason():
    lines = {name_of(path): len(path.read_text().splitlines()) for path in FILES}
    long = {name: count for name, count in lines.items() if count > MOST_LINES}
    assert not {name: count for name, count in long.items() if name not in LONG}
    assert not [name for name in LONG if name not in lines], "a file that is no more needs no reason"


def test_what_needs_devices_or_other_runtimes_says_so_in_its_own_file():
    """`make test-targets` and `make test-runtimes` look for the marks there."""
    helpers = [path for path in Path(__file__).parent.rglob("*.py") if not path.name.startswith("test_")]
    marks = [f"mark.{name}" for name in ("target", "runtimes")]
    assert not [path.name for path in helpers if any(mark in path.read_text() for mark in marks)]


@pytest.fixture(scope="module")
def graph():
    """Every import of the package, those inside of functions and of type checking too."""
    return grimp.build_graph("edgefair", cache_dir=None)


def imports_between_parts(graph, package):
    """Which direct children of a package import which others, with one import of each."""
    depth = package.count(".") + 2
    found = defaultdict(dict)
    for importer in graph.find_descendants(package):
        part = ".".join(importer.split(".")[:depth])
        for imported in graph.find_modules_directly_imported_by(importer):
            other = ".".join(imported.split(".")[:depth])
            if other.startswith(f"{package}.") and other != part:
                found[part][other] = f"{importer} imports {imported}"
    return found


def circle(imports):
    """The imports of one way round, or none."""
    for start in imports:
        ways, seen = [[start]], {start}
        while ways:
            way = ways.pop()
            for part in imports.get(way[-1], {}):
                if part == start:
                    return [imports[one][other] for one, other in itertools.pairwise([*way, start])]
                if part not in seen:
                    seen.add(part)
                    ways.append([*way, part])
    return []


PACKAGES = sorted({".".join(path.parent.relative_to(PACKAGE.parent).parts) for path in FILES})


@pytest.mark.parametrize("package", PACKAGES)
def test_the_parts_of_a_folder_import_each_other_one_way_only(graph, package):
    found = circle(imports_between_parts(graph, package))
    assert not found, "\n".join(found)


def test_a_circle_is_told_by_its_imports():
    imports = {"a": {"b": "a imports b"}, "b": {"c": "b imports c", "d": "b imports d"}, "c": {"b": "c imports b"}}
    assert circle(imports) == ["b imports c", "c imports b"]
    assert not circle({"a": {"b": "", "c": ""}, "b": {"c": ""}})


def parameters(function):
    given = function.args
    names = [item.arg for item in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    names += [item.arg for item in (given.vararg, given.kwarg) if item is not None]
    return [name for name in names if name not in {"self", "cls"}]


def test_no_function_takes_more_than_eight_parameters_without_a_reason():
    many = [
        f"{name_of(path)}: {node.name} takes {len(parameters(node))}"
        for path in FILES
        # The parameters of a command are its flags.
        if PACKAGE / "cli/commands" not in path.parents
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and len(parameters(node)) > MOST_PARAMETERS
        and not any(line.strip().startswith(REASON) for line in (ast.get_docstring(node) or "").splitlines())
    ]
    assert not many
