"""Damaged inputs name files to write to and programs to run, and a process of root's may do it: here it may not."""

import errno
import os
import sys
from pathlib import Path

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Event -> positions of the paths that are changed, and of the descriptors of the folders that they start from.
CHANGING = {
    "os.rename": ((0, 2), (1, 3)),
    "os.link": ((1, 3),),
    "os.symlink": ((1, 2),),
    "os.remove": ((0, 1),),
    "os.rmdir": ((0, 1),),
    "os.mkdir": ((0, 2),),
    "os.chmod": ((0, 2),),
    "os.chown": ((0, 3),),
    "os.truncate": ((0, None),),
    "os.utime": ((0, 3),),
}
STARTING = frozenset({"os.system", "os.exec", "os.posix_spawn", "subprocess.Popen"})
# What writing to does no harm.
HARMLESS = frozenset({"/dev/null", "/proc/self/clear_refs"})


def allow_only(*folders):
    """From now on this process changes nothing outside of these folders and starts nothing: PermissionError."""
    inside = tuple(f"{Path(folder).resolve()}/" for folder in folders)

    def check(path, start):
        if isinstance(path, int) or path is None or os.fsdecode(path) in HARMLESS:
            return
        begin = Path.cwd() if start in {None, -1} else Path(f"/proc/self/fd/{start}").readlink()
        place = begin / os.fsdecode(path)
        if not f"{place.parent.resolve()}/{place.name}/".startswith(inside):
            raise PermissionError(errno.EACCES, "outside of the folder of this case", os.fsdecode(path))

    def hook(event, arguments):
        if event == "open":
            path, mode, flags = arguments
            if flags & WRITING or (isinstance(mode, str) and set(mode) & set("wax+")):
                check(path, None)
        elif event in STARTING:
            raise PermissionError(errno.EACCES, "no program is started here", event)
        for place, start in CHANGING.get(event, ()):
            check(arguments[place], None if start is None else arguments[start])

    sys.addaudithook(hook)
