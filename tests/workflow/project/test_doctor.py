"""`edgefair doctor`: what an installation says that it needs is held against what is there."""

import json
from importlib import metadata

import pytest
from click.testing import CliRunner

from edgefair.cli import main
from edgefair.workflow.project.doctor import examine

METADATA = """Metadata-Version: 2.4
Name: edgefair
Version: 9.0
Provides-Extra: absent
Provides-Extra: old
Provides-Extra: both
Provides-Extra: elsewhere
Provides-Extra: dev
Requires-Dist: numpy>=2.1
Requires-Dist: no-such-package>=3; extra == 'absent'
Requires-Dist: click>=1000; extra == 'old'
Requires-Dist: numpy; extra == 'both'
Requires-Dist: edgefair[absent,old]; extra == 'both'
Requires-Dist: no-such-package; sys_platform == 'nowhere' and extra == 'elsewhere'
Requires-Dist: no-such-linter; extra == 'dev'
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """An installation with extras that are met and some that are not."""
    (tmp_path / "edgefair-9.0.dist-info").mkdir()
    (tmp_path / "edgefair-9.0.dist-info/METADATA").write_text(METADATA)
    monkeypatch.syspath_prepend(tmp_path)


def lacking():
    return {extra.name: [(package.name, package.installed) for package in extra.lacking] for extra in examine().extras}


def test_an_extra_lacks_what_is_absent_what_is_too_old_and_what_the_extras_that_it_names_lack(installed):
    click = ("click", metadata.version("click"))
    absent = ("no-such-package", None)
    assert lacking() == {"": [], "absent": [absent], "old": [click], "both": [absent, click], "elsewhere": []}


def test_what_is_lacking_is_said_with_the_command_that_brings_it(installed):
    shown = CliRunner().invoke(main, ["doctor"], env={"COLUMNS": "160"}).stdout
    assert "no no-such-package" in shown
    assert f"click {metadata.version('click')}, wanted >=1000" in shown
    assert "pip install 'edgefair[absent]'" in shown
    assert "pip install 'edgefair[elsewhere]'" not in shown


CLONE, FILE = "a clone", "edgefair-9.0-py3-none-any.whl"


@pytest.mark.parametrize(
    ("noted", "command"),
    [
        ({"url": "{clone}", "dir_info": {}}, "pip install '{clone}[old]'"),
        ({"url": "{clone}", "dir_info": {"editable": True}}, "pip install --editable '{clone}[old]'"),
        ({"url": "{file}", "archive_info": {}}, "pip install '{file}[old]'"),
        ({"url": "{clone}/gone", "dir_info": {}}, "pip install '.[old]', in a clone of edgefair"),
        (
            {"url": "https://example.org/e.whl", "archive_info": {}},
            "pip install 'edgefair[old] @ https://example.org/e.whl'",
        ),
        (
            {"url": "https://example.org/e.git", "vcs_info": {"vcs": "git", "commit_id": "0a1"}},
            "pip install 'edgefair[old] @ git+https://example.org/e.git@0a1'",
        ),
    ],
    ids=["clone", "editable", "wheel", "clone that is gone", "address", "commit"],
)
def test_an_extra_is_brought_from_where_edgefair_came_from(installed, tmp_path, noted, command):
    clone, file = tmp_path / CLONE, tmp_path / FILE
    clone.mkdir()
    (clone / "pyproject.toml").touch()
    file.touch()
    noted["url"] = noted["url"].format(clone=clone.as_uri(), file=file.as_uri())
    (tmp_path / "edgefair-9.0.dist-info/direct_url.json").write_text(json.dumps(noted))
    (said,) = [extra.fix for extra in examine().extras if extra.name == "old"]
    assert said == command.format(clone=clone, file=file)


def test_the_command_says_the_same_of_targets_as_the_list_of_targets(installed):
    told = json.loads(CliRunner().invoke(main, ["doctor", "--json"]).stdout)
    listed = json.loads(CliRunner().invoke(main, ["target", "list", "--json"]).stdout)
    assert told["schema"] == "edgefair.installation/1"
    assert {item["name"]: item["lacks"] for item in told["targets"]} == {
        item["name"]: item["lacks"] for item in listed["targets"]
    }
    assert {item["name"]: item["ready"] for item in told["extras"]}["both"] is False


def test_a_shell_is_offered_commands_and_flags():
    def offered(typed):
        asked = {
            "COMP_WORDS": f"edgefair {typed}",
            "COMP_CWORD": str(len(typed.split())),
            "_EDGEFAIR_COMPLETE": "bash_complete",
        }
        return CliRunner().invoke(main, [], prog_name="edgefair", env=asked).stdout.split()

    assert offered("ver") == ["plain,verify"]
    assert "plain,--max-eo-gap" in offered("verify --max-eo")
