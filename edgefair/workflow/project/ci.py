"""The workflow of a project for GitHub Actions or GitLab CI: train, export behind the gate, keep the report."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgefair._version import __version__
from edgefair.config import Config, load_config
from edgefair.errors import UsageError
from edgefair.files import write_atomic
from edgefair.installed import requirement_for
from edgefair.resources import shipped_path

Service = Literal["github", "gitlab"]
# Characters that mean the same to YAML, to a shell and to both services.
PLAIN = re.compile(r"[A-Za-z0-9._/-]+")
NOT_INDEXED = (
    "edgefair was installed here from a folder of this machine, and the workflow installs release {version}: where no "
    "package index has it, add its repository as a submodule and install './vendor/edgefair[torch]' instead"
)
# Behind the step that checks out: edgefair may be a submodule there.
SUBMODULES = "\n        with:\n          submodules: true"
INCLUDED = Path(".gitlab/edgefair.yml")


@dataclass(frozen=True)
class WrittenWorkflow:
    """Attributes: path: of the file. remarks: what its owner must do."""

    path: Path
    remarks: tuple[str, ...] = ()


def write_workflow(service: Service, config_path: Path, *, force: bool = False) -> WrittenWorkflow:
    """Write the workflow into the repository that holds the config: the nearest folder above with `.git`.

    On GitLab a repository that has a `.gitlab-ci.yml` already gets a file to include there.

    Raises:
        UsageError: no config, a file that is there already, a path that would need quoting, or a folder that cannot be
            written.
    """
    config = load_config(config_path)
    root = _root(config_path.resolve().parent)
    template = shipped_path("deploy", f"ci/{service}/{_template(service)}").read_text(encoding="utf-8")
    needed = requirement_for("torch", __version__, root)
    text = _filled(template, config, config_path, root, needed)
    path, remarks = _place(service, root)
    remarks += (NOT_INDEXED.format(version=__version__),) if needed is None else ()
    if path.exists() and not force:
        raise UsageError(f"'{path}' already exists", fix="edit it, or replace it with --force")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, text.encode())
    except OSError as error:
        raise UsageError(f"'{path}' cannot be written: {error.strerror}") from error
    return WrittenWorkflow(path, remarks)


def _template(service: Service) -> str:
    return {"github": "workflow.yml", "gitlab": "gitlab-ci.yml"}[service]


def _place(service: Service, root: Path) -> tuple[Path, tuple[str, ...]]:
    if service == "github":
        return root / ".github" / "workflows" / "edgefair.yml", ()
    whole = root / ".gitlab-ci.yml"
    if not whole.exists():
        return whole, ()
    return root / INCLUDED, (f"add to {whole.name}:  include: [{{local: {INCLUDED}}}]",)


def _root(folder: Path) -> Path:
    return next((place for place in (folder, *folder.parents) if (place / ".git").exists()), folder)


def _filled(template: str, config: Config, config_path: Path, root: Path, needed: str | None) -> str:
    """The template with the project's names in place of {names}.

    Args:
        needed: what pip is told to install; None where this installation came from a folder that only this machine has.
    """
    folder = config.base.relative_to(root).as_posix()
    before = "" if folder == "." else f"{folder}/"
    source = config.base / config.data.source
    files = [before + config_path.name]
    if source.is_file() and source.resolve().is_relative_to(root):
        files.append(source.resolve().relative_to(root).as_posix())
    bundle = (config.output / config.project).as_posix()
    inside = needed is not None and needed.startswith("./")
    for path in (*files, bundle, *([needed.partition("[")[0]] if inside and needed else [])):
        if not PLAIN.fullmatch(path):
            raise UsageError(
                f"the path '{path}' would need quoting in a workflow",
                expected="letters, digits and . _ / -",
                fix="rename it, or write the workflow by hand from the one in deploy/ci",
            )
    names: Mapping[str, str] = {
        "project": config.project,
        "needed": needed or f"edgefair[torch]=={__version__}",
        "submodules": SUBMODULES if inside else "",
        "folder": before,
        "working": folder,
        "config": config_path.name,
        "bundle": bundle,
        "digests": ", ".join(f"'{path}'" for path in files),
        "files": ", ".join(files),
    }
    for name, value in names.items():
        template = template.replace(f"{{{name}}}", value)
    return template
