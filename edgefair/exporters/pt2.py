"""A `.pt2` file of torch.export -> one checked FP32 ONNX graph.

torch.export.load may unpickle, load compiled libraries, import modules and evaluate text, all named by the file. So the
archive is read and checked first, with the reader that torch uses, and everything that could run code is refused.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import torch

from edgefair.errors import ModelError
from edgefair.exporters.conversion import OPSET, finished_model, first_line, quietly
from edgefair.exporters.torch_program import torch_program
from edgefair.probe.regular import read_regular

DYNAMIC = "export it with torch.export.export(..., dynamic_shapes=...), dimension 0 of every input being dynamic"
SAVE = "save it with torch.export.save(program, 'model.pt2')"
PROGRAM = "models/model.json"
CONFIGS = ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json")
# Every part of an archive that holds plain tensors, JSON or text. `sample_inputs` is read with weights_only.
PARTS = re.compile(
    r"models/model\.json|data/weights/(weight_\d+|model_weights_config\.json)|"
    r"data/constants/(tensor_\d+|model_constants_config\.json)|data/sample_inputs/model\.pt|"
    r"archive_format|archive_version|version|byteorder|\.data/\w+|\.format_version|\.storage_alignment|extra/.*"
)
PAYLOAD = re.compile(r"(weight|tensor)_\d+")
OPERATOR = re.compile(
    r"torch\.ops\.(aten|prims|higher_order)\.\w+(\.\w+)?|_operator\.[a-z]\w*|math\.[a-z]\w*|torch\.sym_\w+"
)
# Names become Python code when torch.fx builds the module.
NAME = re.compile(r"[\w.-]*")
CONTAINERS = {"builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict"}
# A shape's expression is evaluated as Python by sympy. These are the names that torch writes into it.
# fmt: off
FUNCTIONS = {
    "Symbol", "Integer", "Float", "Rational", "Add", "Mul", "Pow", "Abs", "Max", "Min", "Mod", "floor",
    "ceiling", "And", "Or", "Not", "Eq", "Ne", "Lt", "Le", "Gt", "Ge", "Equality", "Unequality",
    "StrictLessThan", "LessThan", "StrictGreaterThan", "GreaterThan", "FloorDiv", "ModularIndexing", "Where",
    "PythonMod", "CleanDiv", "CeilToInt", "FloorToInt", "CeilDiv", "LShift", "RShift", "PowByNatural",
    "FloatPow", "FloatTrueDiv", "IntTrueDiv", "IsNonOverlappingAndDenseIndicator", "TruncToFloat", "TruncToInt",
    "RoundToInt", "RoundDecimal", "ToFloat", "Identity",
}
# fmt: on
TEXT = {"Symbol": re.compile(r"[A-Za-z]\w*"), "Float": re.compile(r"[-+.\deE]+")}
SYNTAX = (ast.Expression, ast.Call, ast.keyword, ast.Name, ast.Constant, ast.UnaryOp, ast.USub, ast.Load)


def from_pt2(path: Path) -> onnx.ModelProto:
    """Convert a program saved by torch.export.save. Inputs and outputs keep the program's names.

    Raises:
        ModelError: missing, truncated or another kind of file; a file with pickled objects, compiled code or operators
            of its own; a program with a fixed batch, exported in training mode, or that ONNX cannot express.
    """
    try:
        data = read_regular(path)
    except OSError as error:
        raise ModelError(f"'{path}' cannot be read: {error.strerror}", expected="a .pt2 file", fix=SAVE) from error
    with quietly():
        _check_archive(path, data)
        program = _load(path, data)
        try:
            exported = torch_program(program, opset_version=OPSET)
        except Exception as error:
            raise ModelError(f"'{path}' cannot be expressed in ONNX: {first_line(error)}") from error
    if exported is None:
        raise ModelError(f"the exporter returned no ONNX program for '{path}'")
    return finished_model(exported.model_proto, opset=OPSET, static=DYNAMIC)


def _load(path: Path, data: bytes) -> torch.export.ExportedProgram:
    # Not torch.export.load, which falls back to an older layout of the archive that was not checked here.
    from torch.export.pt2_archive._package import load_pt2

    try:
        with _tensors_only():
            program = load_pt2(io.BytesIO(data)).exported_programs["model"]
    except Exception as error:
        raise ModelError(f"'{path}' cannot be loaded: {first_line(error)}", expected="a .pt2 file", fix=SAVE) from error
    # Conditions on the inputs, kept as Python text: they are no part of the graph, and must never be evaluated.
    program._guards_code = []
    return program


@contextlib.contextmanager
def _tensors_only() -> Iterator[None]:
    """Force weights_only on every torch.load inside: torch itself falls back to unpickling."""
    names = ("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD")
    before = {name: os.environ.pop(name, None) for name in names}
    os.environ[names[0]] = "1"
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _check_archive(path: Path, data: bytes) -> None:
    from torch.export.pt2_archive import PT2ArchiveReader

    try:
        archive = PT2ArchiveReader(io.BytesIO(data))
        parts = archive.get_file_names()
        texts = {name: json.loads(archive.read_string(name)) for name in (PROGRAM, *CONFIGS)}
    except Exception as error:
        raise ModelError(
            f"'{path}' is a truncated or invalid .pt2 file: {first_line(error)}",
            expected="one program, saved by torch.export.save of torch 2.8 or later",
            fix=SAVE,
        ) from error
    for part in parts:
        if not PARTS.fullmatch(part):
            raise _refused(path, f"the part '{part}'")
    try:
        for name in CONFIGS:
            _check_payloads(path, texts[name]["config"])
        for key, value in _entries(texts[PROGRAM]):
            _check_entry(path, key, value)
    except (AttributeError, KeyError, RecursionError, TypeError) as error:
        raise _refused(path, "JSON that torch did not write") from error


def _check_payloads(path: Path, payloads: dict[str, Any]) -> None:
    for name, payload in payloads.items():
        if payload["use_pickle"] is not False or not PAYLOAD.fullmatch(payload["path_name"]):
            raise _refused(path, f"the pickled object '{name}'")


def _refused(path: Path, what: str) -> ModelError:
    return ModelError(
        f"'{path}' holds {what}",
        expected="plain tensors and PyTorch's own operators; pickled objects and compiled code are never loaded",
        fix="export a model of ordinary tensors with torch.export.export and torch.export.save",
    )


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    """Every key and value of a JSON value, at any depth."""
    if isinstance(value, dict):
        yield from value.items()
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _entries(item)


def _check_entry(path: Path, key: str, value: Any) -> None:
    match key, value:
        case "expr_str", _ if not _is_plain_expression(value):
            raise _refused(path, f"the shape {value!r}")
        case (("target" | "as_operator"), str()) if not OPERATOR.fullmatch(value):
            raise _refused(path, f"the operator '{value}'")
        case (("in_spec" | "out_spec"), _) if not _is_plain_tree(value):
            raise _refused(path, f"arguments or results that are not tuples, lists and dictionaries: {value!r}")
        case "as_string_to_argument", dict() if not all(NAME.fullmatch(name) for name in value):
            raise _refused(path, f"the names {list(value)}")
        case _, str() if (key == "fqn" or key.endswith("name")) and not NAME.fullmatch(value):
            raise _refused(path, f"the name {value!r}")
        case "forward_arg_names", list() if not all(NAME.fullmatch(name) for name in value):
            raise _refused(path, f"the names {value}")
        case "inputs", list() if any(_is_training(item) for item in value):
            raise ModelError(
                f"'{path}' was exported in training mode", fix="call model.eval() before torch.export.export"
            )


def _is_training(item: Any) -> bool:
    return isinstance(item, dict) and item.get("name") in {"train", "training"} and item.get("arg") == {"as_bool": True}


def _is_plain_expression(text: Any) -> bool:
    """Whether a shape's expression only applies known functions to symbols and numbers."""
    try:
        nodes = list(ast.walk(ast.parse(text, mode="eval")))
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        return False
    allowed: set[ast.AST] = set()
    for node in nodes:
        if isinstance(node, ast.Call):
            if not isinstance(node.func, ast.Name) or node.func.id not in FUNCTIONS:
                return False
            first = node.args[0] if node.args else None
            pattern = TEXT.get(node.func.id)
            if pattern and isinstance(first, ast.Constant) and pattern.fullmatch(str(first.value)):
                allowed.add(first)
    return all(
        isinstance(node, SYNTAX) and (node in allowed or not isinstance(getattr(node, "value", 0), str | bytes))
        for node in nodes
    )


def _is_plain_tree(text: Any) -> bool:
    """Whether a tree of arguments is made of standard containers: others import what the file names."""
    try:
        return _is_plain_node(json.loads(text)[1])
    except (ValueError, TypeError, KeyError, IndexError, RecursionError):
        return False


def _is_plain_node(node: Any) -> bool:
    if node["type"] is None:
        return True
    context = json.loads(node["context"])
    return (
        node["type"] in CONTAINERS
        and (context is None or all(NAME.fullmatch(str(key)) for key in context))
        and all(_is_plain_node(child) for child in node["children_spec"])
    )
