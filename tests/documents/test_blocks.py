"""No block of a document is taken on trust: its language says who reads it, and that one does."""

import json
import re
import shlex
import subprocess
import tomllib

import pytest
import yaml

from edgefair.cli import main
from edgefair.config import Config, parse_config
from edgefair.study.plan import Plan
from edgefair.study.reading import read_plan
from edgefair.targets.profile import TargetProfile
from edgefair.yaml_text import parse_yaml
from tests.documents.blocks import BLOCKS, ROOT, commands_of, in_language
from tests.documents.reading import BASE, NotReadError, read_command

# Read by a test below, run by one of the tests beside it, or shown: outputs and drawings.
READ = ("bash", "console", "yaml", "json", "python")
SHOWN = ("text", "mermaid")
DIRECTIVE = re.compile(r"\{[\w-]+\}")
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def place(block):
    return block.place


def test_every_block_says_its_language():
    known = [block.language in READ + SHOWN or bool(DIRECTIVE.fullmatch(block.language)) for block in BLOCKS]
    assert [block.place for block, is_known in zip(BLOCKS, known, strict=True) if not is_known] == []
    assert len(BLOCKS) > 60


def check_pip(words):
    """That edgefair's extras exist; other packages are other people's."""
    for extras in re.findall(r"(?:^|/|edgefair|\.)\[([\w,-]+)\]", " ".join(words)):
        assert {*extras.split(",")} <= {*EXTRAS}, words
    for place in (words[at + 1] for at, word in enumerate(words) if word == "-c"):
        assert (ROOT / place).exists(), words


def check_make(words):
    targets = re.findall(r"^([\w-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {word for word in words if "=" not in word} <= {*targets}, words


def check_files(words):
    for word in words:
        assert not re.match(r"(tests|benchmarks|tools|examples|deploy)/", word) or (ROOT / word).exists(), words


CHECKS = {"pip": check_pip, "make": check_make, "pytest": check_files, "python": check_files, "sh": check_files}


@pytest.mark.parametrize("block", in_language("bash", "console"), ids=place)
def test_a_command_is_one_that_can_be_typed(block, tmp_path, monkeypatch):
    commands = commands_of(block)
    assert commands
    monkeypatch.chdir(tmp_path)
    for name in re.findall(r"\b[\w.-]+\.(?:tflite|pte)\b", block.text):
        (tmp_path / name).touch()
    # What other programs do is theirs; that a shell reads the whole is ours.
    subprocess.run(
        ["bash", "-n"], input=block.text if block.language == "bash" else "\n".join(commands), text=True, check=True
    )
    for line in commands:
        line = re.sub(r"^(\w+=\S* )+", "", line)
        program = line.split()[0]
        if program == "edgefair":
            read_command(line)
        elif program in CHECKS:
            CHECKS[program](shlex.split(line, comments=True)[1:])


@pytest.mark.parametrize(
    "line",
    [
        "edgefair verify --max-gap 0.05",
        "edgefair export --int8 mostly.onnx model.onnx",
        "edgefair verify --max-eo-gap wide",
        "edgefair verify --set policy.alpha=2",
        "edgefair verify --set policy.alfa=0.05",
        "edgefair report a.json --format pdf=a.pdf",
        "edgefair train --epochs",
    ],
)
def test_a_command_that_would_be_refused_is_found(line):
    with pytest.raises(NotReadError):
        read_command(line)


def check_workflow(keys):
    """A workflow of GitHub that takes our action: its inputs exist, and its command can be typed."""
    action = yaml.safe_load((ROOT / "deploy/ci/github/action.yml").read_text())
    ours = [
        step for job in keys["jobs"].values() for step in job["steps"] if step.get("uses", "").endswith("ci/github")
    ]
    assert ours
    for step in ours:
        assert (ROOT / step["uses"].partition("edgefair/")[2] / "action.yml").exists()
        assert {*step["with"]} <= {*action["inputs"]}
        read_command(f"edgefair {step['with'].get('command', 'verify')}")


def check_job(keys):
    """A job of GitLab."""
    (job,) = keys.values()
    for line in [job["script"]] if isinstance(job["script"], str) else job["script"]:
        if line.startswith("edgefair "):
            read_command(line)


def check_profile(keys):
    TargetProfile.model_validate({"name": "board", "transport": "local"} | keys)


def check_plan(block, keys):
    """A plan of a study, or keys that the plan of the same page may have too."""
    whole = next(other for other in in_language("yaml") if other.document == block.document and "study:" in other.text)
    read_plan(yaml.safe_dump(parse_yaml(whole.text) | keys))


def check_config(keys):
    """A config, or a part of one; the attributes that it judges are its sensitive columns where it names none."""
    if "source" in keys.get("data", {}) and "attributes" in keys.get("policy", {}):
        parse_config(keys, base=ROOT)
        return
    merged = {section: {**value, **keys.get(section, {})} for section, value in BASE.items()}
    if "attributes" not in keys.get("policy", {}):
        groups = BASE["policy"]["attributes"]["sex"]
        merged["policy"]["attributes"] = dict.fromkeys(merged["data"]["sensitive"], groups)
    parse_config({**keys, **merged}, base=ROOT)


@pytest.mark.parametrize("block", in_language("yaml"), ids=place)
def test_yaml_is_a_config_a_plan_a_profile_or_a_job(block):
    if re.search(r"^(on|\w+:\n  script):", block.text, re.MULTILINE) or "\n  script:" in block.text:
        keys = yaml.safe_load(block.text)
        (check_workflow if "jobs" in keys else check_job)(keys)
        return
    keys = parse_yaml(block.text)
    if "study" in keys or {*keys} <= {*Plan.model_fields} - {*Config.model_fields}:
        check_plan(block, keys)
    elif {*keys} & {"transport", "runtime", "budgets", "latency"}:
        check_profile(keys)
    else:
        check_config(keys)


@pytest.mark.parametrize("block", in_language("json"), ids=place)
def test_json_is_json(block):
    json.loads(block.text)


def test_a_command_inside_a_sentence_names_a_command_that_there_is():
    wrong = []
    for document in sorted({block.document for block in BLOCKS}):
        for typed in re.findall(r"`edgefair ([a-z][a-z-]*)[^`]*`", document.read_text()):
            if typed not in main.list_commands(None):
                wrong.append((document.name, typed))
    assert wrong == []
