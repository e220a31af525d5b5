"""Flags of config keys take what the config takes, and cost no heavy import."""

import subprocess
import sys
from typing import Annotated, get_args

import click
import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from edgefair.cli.commands.make import export
from edgefair.cli.commands.understand import explain
from edgefair.cli.config_flags import KeyOption
from edgefair.compress.config import CompressConfig
from edgefair.compress.names import IMPORTANCES
from edgefair.decision.policy import Policy

FLAGS = {item.name: item for item in export.command.params if isinstance(item, KeyOption)}
SECTIONS = {"compress": CompressConfig, "policy": Policy}
NUMBERS = ("-1", "0", "1e-9", "0.3", "0.5", "1", "2", "7", "20", "21", "512", "513", "4096", "4097", "nan", "inf")


def field(name):
    section, key = name.split("__")
    return SECTIONS[section].model_fields[key]


def read_by_flag(name, text):
    """What a flag makes of a value; None where it refuses."""
    context = click.Context(export.command)
    try:
        return FLAGS[name].process_value(context, text)
    except click.BadParameter:
        return None


def taken_by_config(name, value):
    found = field(name)
    try:
        TypeAdapter(Annotated[(found.annotation, *found.metadata)]).validate_python(value)
    except ValidationError:
        return False
    return True


def is_section(annotation):
    kinds = (annotation, *get_args(annotation))
    return any(isinstance(kind, type) and issubclass(kind, BaseModel) for kind in kinds)


def test_every_key_of_compress_is_a_flag_of_export():
    keys = [key for key, found in CompressConfig.model_fields.items() if not is_section(found.annotation)]
    flags = [name for name in FLAGS if name.startswith("compress") and name.count("__") == 1]
    assert flags == [f"compress__{key}" for key in keys]


RANGES = [name for name, flag in FLAGS.items() if isinstance(flag.type, click.IntRange | click.FloatRange)]


@pytest.mark.parametrize("name", RANGES)
def test_a_flag_takes_the_numbers_that_the_config_takes_and_no_other(name):
    taken = {text: read_by_flag(name, text) for text in NUMBERS}
    assert any(value is None for value in taken.values())
    for text, value in taken.items():
        whole = isinstance(FLAGS[name].type, click.IntRange)
        if not whole or text.lstrip("-").isdigit():
            assert (value is not None) == taken_by_config(name, float(text)), text


def test_words_are_those_of_the_tables_and_a_share_or_a_word_is_told_apart():
    assert tuple(FLAGS["compress__importance"].type.choices) == tuple(IMPORTANCES)
    assert read_by_flag("compress__low_rank", "0.5") == 0.5
    assert read_by_flag("compress__low_rank", "energy") == "energy"


def test_a_gate_out_of_range_is_left_to_the_config_which_says_who_is_to_blame():
    assert read_by_flag("policy__max_eo_gap", "2") == 2.0
    assert FLAGS["policy__max_latency_p90_ms"].opts == ["--max-latency-p90"]
    assert FLAGS["policy__max_size_bytes"].metavar == "BYTES"


@pytest.mark.parametrize("command", [export.command, explain.command])
@pytest.mark.parametrize(
    ("arguments", "model", "word"),
    [
        (["--int8", "model.onnx"], "model.onnx", "auto"),
        (["--int8", "dynamic", "model.onnx"], "model.onnx", "dynamic"),
        (["model.onnx", "--int8"], "model.onnx", "auto"),
        (["--int8=static"], None, "static"),
        (["--int8", "--fp16"], None, "auto"),
    ],
)
def test_int8_may_stand_alone_before_the_model(command, arguments, model, word):
    context = command.make_context(command.name, list(arguments))
    assert (context.params["model"], context.params["compress__int8"]) == (model, word)


def test_a_key_named_in_a_description_is_a_flag_in_the_help():
    assert FLAGS["compress__scope"].help.startswith("For --prune and --sparsity: ")
    assert FLAGS["compress__distill__teacher"].help.endswith("what --prune and --low-rank leave.")
    assert FLAGS["compress__repair__enabled"].help.endswith("[default: --repair]")


@pytest.mark.parametrize("command", ["make.export", "judge.verify", "understand.explain"])
def test_help_needs_no_torch_onnx_or_scipy(command):
    code = (
        f"import sys, edgefair.cli.commands.{command}\n"
        "print(*{'torch', 'onnx', 'onnxruntime', 'scipy'}.intersection(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
