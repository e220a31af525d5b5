"""The base project in a folder where one input after the other damages it: only what was touched is copied anew."""

import os
import shutil
import stat
from pathlib import Path

PIPE = "pipe"


class Copy:
    """A folder that is the base project whenever it is renewed."""

    def __init__(self, base: Path, folder: Path) -> None:
        self._base, self._folder = base, folder
        self._made: dict[str, tuple] = {}

    def renew(self) -> None:
        """Remove what is not as it was made, or is of what the base has no more, and make what is not there."""
        self._folder.mkdir(exist_ok=True)
        base = _entries(self._base)
        for name, found in _entries(self._folder).items():
            if self._made.get(name) != (found, base.get(name)):
                _remove(self._folder / name)
        there = _entries(self._folder)
        for name in base:
            if name not in there:
                self._make(name)
        self._made = {name: (found, base[name]) for name, found in _entries(self._folder).items()}

    def _make(self, name):
        source, path = self._base / name, self._folder / name
        if name == PIPE:
            os.mkfifo(path)
        elif source.is_dir() and not source.is_symlink():
            path.mkdir()
            shutil.copymode(source, path)
        else:
            shutil.copy2(source, path, follow_symlinks=False)


def _entries(folder, under=""):
    """Everything below a folder, which comes before what is in it -> what nobody can change and leave as it was."""
    found = {}
    for item in os.scandir(folder):
        name, state = f"{under}{item.name}", item.stat(follow_symlinks=False)
        if stat.S_ISDIR(state.st_mode):
            found[name] = (state.st_mode, state.st_ino)
            found |= _entries(item.path, f"{name}/")
        else:
            # Nobody sets the time of the last change of a file's state.
            found[name] = (state.st_mode, state.st_ino, state.st_size, state.st_ctime_ns)
    return found


def _remove(path):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
