"""The folder of a run that is to be trained."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgefair.errors import UsageError

if TYPE_CHECKING:
    from edgefair.training.run import Run


def prepare_folder(folder: Path, settings: dict[str, Any], *, overwrite: bool = False) -> Run | None:
    """Make a run's folder; the run itself where it is finished already.

    Raises:
        UsageError: a finished run with other settings, or a folder that cannot be made.
    """
    from edgefair.training.run import load_run

    if overwrite:
        shutil.rmtree(folder, ignore_errors=True)
    if (folder / "run.json").exists():
        run = load_run(folder)
        if run.settings == settings:
            return run
        changed = [key for key in {**settings, **run.settings} if run.settings.get(key) != settings.get(key)]
        raise UsageError(
            f"'{folder}' holds a finished run with other settings ({', '.join(changed)})",
            fix="choose another --name, or replace it with --overwrite",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write the run to '{folder}': {error.strerror}", fix="change `runs:`") from error
    return None
