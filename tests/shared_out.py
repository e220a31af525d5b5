"""Which tests a worker of pytest-xdist is given together: those of a file, and all whose processes one server forks."""

from pathlib import Path

from xdist.scheduler import LoadFileScheduling

ROOT = Path(__file__).parent.parent
# A worker that has to load what the server does takes five seconds of processor time for it.
FORKING = ("tests.e2e.forked", "tests.pages.shell")


class ByFileAndServer(LoadFileScheduling):
    """As `--dist loadfile`, where files of tests that fork are one file."""

    def __init__(self, config, log):
        super().__init__(config, log)
        self._scopes = {}

    def _split_scope(self, nodeid):
        file = super()._split_scope(nodeid)
        if file not in self._scopes:
            forks = any(f"from {module} import" in (ROOT / file).read_text() for module in FORKING)
            self._scopes[file] = "forking" if forks else file
        return self._scopes[file]
