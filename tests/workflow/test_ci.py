"""The workflow that `init --ci` writes, run as the service would: its steps, in bash, with its files and variables."""

import os
import re
import shutil
import subprocess

import pytest
import yaml
from click.testing import CliRunner

from edgefair import __version__
from edgefair.cli import main
from edgefair.resources import shipped_path
from tests.e2e.forked import program
from tests.targets.quiet import quiet

CONFIG = """\
project: people
data:
  source: people.csv
  label: hired
  positive: "yes"
  sensitive: [sex]
  equal_rows: people
  id: row
model: {options: {hidden: [4]}}
train: {epochs: 12, learning_rate: 0.02}
compress: {repair: {enabled: false}}
policy:
  max_eo_gap: %s
  min_cell_rows: 20
  min_balanced_accuracy: 0.5
  attributes: {sex: {groups: [F, M]}}
"""


def run(*arguments):
    return CliRunner().invoke(main, [str(item) for item in arguments], catch_exceptions=False)


def people(folder, *, unfair=False, rows=4000):
    """A column tells the label, or tells it wrongly for some women."""
    lines = ["row,score,sex,hired"]
    for row in range(rows):
        sex, hired = "FM"[row % 2], ("yes", "no")[row // 2 % 2]
        wrong = unfair and sex == "F" and hired == "yes" and row % 3 == 0
        lines.append(f"{row},{1 if (hired == 'yes') != wrong else -1},{sex},{hired}")
    (folder / "people.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture
def project(tmp_path):
    (tmp_path / ".git").mkdir()
    (tmp_path / "edgefair.yaml").write_text(CONFIG % 0.05)
    return tmp_path


def steps(service, folder):
    result = run("init", "--ci", service, "-o", folder / "edgefair.yaml")
    assert result.exit_code == 0, result.output
    path = {"github": ".github/workflows/edgefair.yml", "gitlab": ".gitlab-ci.yml"}[service]
    return yaml.safe_load((folder / path).read_text())


@pytest.fixture(scope="module")
def commands(tmp_path_factory):
    """A folder for the path, in which edgefair is."""
    with program(tmp_path_factory.mktemp("bin"), within=quiet) as folder:
        yield folder


def played(folder, script, commands, **variables):
    """A step in bash as GitHub's runner starts it, with edgefair on the path."""
    environment = {**os.environ, "PATH": f"{commands}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1", **variables}
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("make", "gap", "code", "outcome"),
    [
        (lambda folder: people(folder), 0.05, 0, "PASS"),
        (lambda folder: people(folder, unfair=True), 0.05, 1, "FAIL"),
        (lambda folder: people(folder, rows=400), 0.02, 3, "INCONCLUSIVE"),
    ],
    ids=["PASS", "FAIL", "INCONCLUSIVE"],
)
def test_githubs_gate_ends_with_the_exit_code_of_the_verdict_and_leaves_its_files(
    project, commands, make, gap, code, outcome
):
    make(project)
    (project / "edgefair.yaml").write_text(CONFIG % gap)
    found = steps("github", project)["jobs"]["gate"]["steps"]
    gate = next(item for item in found if item.get("name") == "Gate")
    summary, output = project / "summary.md", project / "output.txt"
    result = played(
        project / gate["working-directory"], gate["run"], commands, GITHUB_ACTIONS="true",
        GITHUB_STEP_SUMMARY=str(summary), GITHUB_OUTPUT=str(output), GITHUB_WORKSPACE=str(project),
    )  # fmt: skip
    assert result.returncode == code, result.stderr[-2000:]
    written = {name: value for name, _, value in re.findall(r"(\w+)<<(.+)\n(.*)\n\2\n", output.read_text())}
    assert (written["outcome"], written["exit_code"]) == (outcome, str(code))
    assert outcome in summary.read_text()
    assert ("::error" in result.stderr) == (code != 0)
    for name in ("edgefair.html", "edgefair.junit.xml", "edgefair.json"):
        assert (project / name).stat().st_size > 0
    assert (project / "dist" / "people").exists() == (code == 0)


def test_githubs_workflow_keeps_reports_of_what_was_blocked_and_the_account_of_the_rows(project):
    people(project)
    workflow = steps("github", project)
    found = workflow["jobs"]["gate"]["steps"]
    assert workflow["permissions"] == {"contents": "read"}
    assert f"edgefair[torch]=={__version__}" in next(item["run"] for item in found if item.get("name") == "Install")
    kept = next(item for item in found if item.get("name") == "Keep the report")
    assert kept["if"] == "always()"
    caches = [item["with"] for item in found if "cache@" in item.get("uses", "")]
    assert [item["path"] for item in caches] == ["runs", "edgefair.ledger.jsonl"]
    assert "hashFiles('edgefair.yaml', 'people.csv')" in caches[0]["key"]
    assert "{" not in (project / ".github/workflows/edgefair.yml").read_text().replace("${{", "").replace("}}", "")


INSTALLED = {
    "of an index": (None, f"edgefair[torch]=={__version__}", False),
    "of an address": (
        {"url": "https://a.example/edgefair", "vcs_info": {"vcs": "git", "commit_id": "ab12"}},
        "edgefair[torch] @ git+https://a.example/edgefair@ab12", False,
    ),
    "a submodule": ("vendor/edgefair", "./vendor/edgefair[torch]", False),
    "a folder that the service has not": ("../edgefair", f"edgefair[torch]=={__version__}", True),
}  # fmt: skip


@pytest.mark.parametrize("service", ["github", "gitlab"])
@pytest.mark.parametrize("name", INSTALLED)
def test_the_workflow_installs_the_edgefair_that_wrote_it_or_says_what_to_do(project, monkeypatch, service, name):
    people(project)
    origin, needed, told = INSTALLED[name]
    if isinstance(origin, str):
        folder = (project / origin).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        origin = {"url": folder.as_uri(), "dir_info": {"editable": True}}
    monkeypatch.setattr("edgefair.installed._origin", lambda: origin)
    result = run("init", "--ci", service, "-o", project / "edgefair.yaml")
    assert result.exit_code == 0, result.output
    path = {"github": ".github/workflows/edgefair.yml", "gitlab": ".gitlab-ci.yml"}[service]
    written = yaml.safe_load((project / path).read_text())
    assert f'pip install "{needed}"' in str(written)
    assert ("as a submodule" in result.stderr) == told
    if name == "a submodule":
        assert "'submodules': True" in str(written) or "GIT_SUBMODULE_STRATEGY" in str(written)


def test_gitlabs_script_is_the_same_and_a_pipeline_that_exists_includes_it(project):
    people(project)
    job = steps("gitlab", project)["edgefair"]
    assert job["script"][-1].startswith("edgefair export --int8 -c edgefair.yaml")
    assert job["artifacts"]["reports"]["junit"] == "edgefair.junit.xml"
    assert job["cache"][0]["key"]["files"] == ["edgefair.yaml", "people.csv"]
    result = run("init", "--ci", "gitlab", "-o", project / "edgefair.yaml")
    assert result.exit_code == 0
    assert "include: [{local: .gitlab/edgefair.yml}]" in result.stderr
    assert (project / ".gitlab" / "edgefair.yml").exists()


def test_a_project_below_the_root_of_its_repository_is_entered(project):
    below = project / "models" / "people"
    below.mkdir(parents=True)
    shutil.move(project / "edgefair.yaml", below)
    people(below)
    assert run("init", "--ci", "github", "-o", below / "edgefair.yaml").exit_code == 0
    found = yaml.safe_load((project / ".github/workflows/edgefair.yml").read_text())["jobs"]["gate"]["steps"]
    gate = next(item for item in found if item.get("name") == "Gate")
    assert gate["working-directory"] == "models/people"
    assert next(item["with"]["path"] for item in found if "cache@" in item.get("uses", "")) == "models/people/runs"


def test_what_is_there_is_kept_and_names_that_need_quoting_are_refused(project):
    people(project)
    steps("github", project)
    again = run("init", "--ci", "github", "-o", project / "edgefair.yaml")
    assert (again.exit_code, "already exists" in again.stderr) == (2, True)
    assert run("init", "--ci", "github", "--force", "-o", project / "edgefair.yaml").exit_code == 0
    (project / "a $(b)").mkdir()
    shutil.copy(project / "edgefair.yaml", project / "a $(b)" / "edgefair.yaml")
    odd = run("init", "--ci", "github", "--force", "-o", project / "a $(b)" / "edgefair.yaml")
    assert (odd.exit_code, "would need quoting" in odd.stderr) == (2, True)
    assert run("init", "--ci", "github", "-o", project / "absent.yaml").exit_code == 2


@pytest.mark.parametrize("service", ["github", "gitlab"])
def test_the_shared_job_judges_what_it_is_told_and_leaves_its_files(project, commands, service):
    people(project, unfair=True)
    (project / "edgefair.yaml").write_text(CONFIG % 0.05)
    assert played(project, "edgefair train", commands).returncode == 0
    command = "export --int8 --no-latency"
    given = {"COMMAND": command, "CONFIG": "edgefair.yaml", "REPORT": "gate"}
    result = played(project, shared_script(service), commands, **given)
    assert result.returncode == 1, result.stderr[-2000:]
    for ending in ("html", "junit.xml", "json"):
        assert (project / f"gate.{ending}").stat().st_size > 0


def shared_script(service):
    """The step of the action, or the line of the component, that runs edgefair."""
    folder = shipped_path("deploy", "ci")
    if service == "github":
        steps = yaml.safe_load((folder / "github/action.yml").read_text())["runs"]["steps"]
        return next(item["run"] for item in steps if item.get("id") == "gate")
    _, job = yaml.safe_load_all(
        re.sub(r"\$\[\[ inputs\.(\w+) \]\]", r"\1", (folder / "gitlab/component.yml").read_text())
    )
    return job["edgefair"]["script"][-1]
