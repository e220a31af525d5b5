"""Which training run a command means, and which command works on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from edgefair.config import Config
from edgefair.errors import UsageError, did_you_mean
from edgefair.locks import hold
from edgefair.progress import Progress


@contextmanager
def hold_run(folder: Path, progress: Progress, *, wait: bool = False) -> Iterator[None]:
    """Keep the folder of a run, or of a step of one, to this command.

    The lock lies beside the folder, which may be replaced meanwhile. Where the file system has no locks, a line of
    progress says that nothing keeps others out.

    Args:
        wait: for another command that has it, which is told as progress, instead of giving up.

    Raises:
        UsageError: another command works there, or the folder above cannot be written.
    """

    def waiting() -> None:
        progress.stage(f"waiting for another command that is using {folder.name}")

    with ExitStack() as stack:
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            lock = folder.with_name(f".{folder.name}.lock")
            held = stack.enter_context(hold(lock, waiting=waiting if wait else None))
        except BlockingIOError as error:
            raise UsageError(
                f"another command is using '{folder}'",
                expected="one command at a time per run: the last one would overwrite the other's results",
                fix="wait for it to finish, or choose another --name",
            ) from error
        except OSError as error:
            raise UsageError(f"cannot write to '{folder.parent}': {error.strerror}", fix="change `runs:`") from error
        if not held:
            progress.stage(f"this file system has no locks: run no other command in {folder.name}")
        yield


def choose_run(config: Config, name: str | None) -> str:
    """The named run, or the only finished one.

    Raises:
        UsageError: no such run, no run at all, or several to choose from.
    """
    folder = config.base / config.runs
    finished = sorted(path.parent.name for path in folder.glob("*/run.json"))
    if name is None and len(finished) == 1:
        return finished[0]
    if name is None:
        raise UsageError(
            f"'{folder}' holds {len(finished)} finished runs" + (f": {', '.join(finished)}" if finished else ""),
            fix="choose one with --run" if finished else "train one with `edgefair train`",
        )
    if name not in finished:
        raise UsageError(
            f"no finished run '{name}' in '{folder}'{did_you_mean(name, finished)}",
            expected=f"one of {', '.join(finished)}" if finished else None,
            fix="resume an interrupted run with `edgefair train`",
        )
    return name
