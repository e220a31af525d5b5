"""Build a bundle beside its destination and move it there in one step."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from edgefair.errors import UsageError
from edgefair.files import PARTIAL
from edgefair.locks import abandoned, held_folder
from edgefair.probe.bundles.attestation import MANIFEST
from edgefair.probe.system.files import sync_file, sync_folder
from edgefair.probe.system.linux import exchange

# In the folder of one export: the bundle under way, and where the old one waits if the two cannot be exchanged.
UNDER_WAY, OLD = "bundle", "old"
# What a call on the destination meets where another export was published, or put a bundle aside, at this moment.
OVERTAKEN = frozenset({errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST})


@contextmanager
def staging(destination: Path) -> Iterator[Path]:
    """A folder beside `destination`, on the same file system, removed when the block ends unless published.

    Folders above it that had to be made are removed too where they are still empty.

    What killed exports left behind is removed first; an old bundle that one had just put aside gets its place again.
    Exports to one destination do not disturb each other: the last one that is published stays.

    Raises:
        UsageError: the destination is not a place where a bundle can be written.
    """
    _check(destination)
    parent, prefix = destination.parent, PARTIAL.format(destination.name)
    made = [path for path in (parent, *parent.parents) if not path.exists()]
    with ExitStack() as stack:
        stack.callback(_remove_empty, made)
        try:
            parent.mkdir(parents=True, exist_ok=True)
            for left in abandoned(parent, prefix):
                _put_back(left / OLD, destination)
            folder = stack.enter_context(held_folder(parent, prefix)) / UNDER_WAY
            folder.mkdir()
        except OSError as error:
            raise UsageError(
                f"cannot write to '{parent}': {error.strerror}",
                expected="a folder that can be written",
                fix="choose another destination with -o",
            ) from error
        yield folder


def publish(folder: Path, destination: Path) -> None:
    """Make `folder`, of `staging`, the bundle at `destination`: afterwards, and after a crash, whole or not there.

    An older bundle is exchanged in one system call where the file system can do that. Elsewhere it is put aside for a
    moment, and the next export puts it back if this one is killed right then.

    Raises:
        OSError: the disk is full or read-only; the destination is as it was.
    """
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            sync_file(path)
        else:
            sync_folder(path)
    sync_folder(folder)
    while not _moved(folder, destination):
        pass
    sync_folder(destination.parent)


def _moved(folder: Path, destination: Path) -> bool:
    """Move the bundle to its place; False where another export came in between."""
    try:
        if not destination.exists():
            folder.rename(destination)
        elif not exchange(folder, destination):
            _replace(folder, destination)
    except OSError as error:
        if error.errno not in OVERTAKEN or not folder.is_dir():
            raise
        return False
    return True


def _replace(folder: Path, destination: Path) -> None:
    """Put the old bundle aside, and the new one into its place."""
    old = folder.with_name(OLD)
    shutil.rmtree(old, ignore_errors=True)
    destination.rename(old)
    try:
        folder.rename(destination)
    except OSError:
        _put_back(old, destination)
        raise


def _put_back(old: Path, destination: Path) -> None:
    with suppress(OSError):  # there is none, or a newer one has the place
        old.rename(destination)


def _remove_empty(folders: Sequence[Path]) -> None:
    for path in folders:
        with suppress(OSError):  # it holds a bundle or a report by now
            path.rmdir()


def _check(destination: Path) -> None:
    if destination.is_file() or destination.is_symlink():
        raise UsageError(f"'{destination}' is a file", expected="a folder to write the bundle to", fix="choose -o OUT")
    # One look: another export may put its bundle there between two.
    names = _names(destination)
    if names and MANIFEST not in names:
        raise UsageError(
            f"'{destination}' holds other files",
            expected="an empty folder, an older bundle, or a path that does not exist",
            fix="choose another destination with -o",
        )


def _names(folder: Path) -> list[str]:
    try:
        return [item.name for item in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
