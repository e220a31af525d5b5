"""What a long command says on stderr where nobody watches a bar."""

import errno
import io
import sys

import pytest

from edgefair.cli.progress import progress_bar


def told(capsys, *calls):
    with progress_bar() as progress:
        for call in calls:
            progress.step(*call)
    out, err = capsys.readouterr()
    assert out == ""
    return err


def test_a_stage_is_one_line_and_its_steps_are_none(capsys):
    steps = [(step, 300, f"epoch {1 + step // 100}/3") for step in range(300)]
    stages = [(0, 0, "reading"), (0, 0, "training fair"), *steps, (3, 0, "a step of unknown number"), (0, 0, "judging")]
    assert told(capsys, *stages) == "reading\ntraining fair\njudging\n"


def test_a_stage_that_is_told_for_every_batch_is_one_line(capsys):
    assert told(capsys, *[(0, 0, "validation rows")] * 5) == "validation rows\n"


def test_names_from_users_files_bring_no_control_characters(capsys):
    assert told(capsys, (0, 0, "group \x1b[31mä\r\n\x07")) == "group \\x1b[31mä\\r\\n\\x07\n"


def test_of_several_processes_the_first_one_speaks(capsys, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    assert told(capsys, (0, 0, "reading")) == ""
    monkeypatch.setenv("RANK", "0")
    assert told(capsys, (0, 0, "reading")) == "reading\n"


class _Full:
    def isatty(self):
        return False

    def write(self, _text):
        raise OSError(errno.ENOSPC, "No space left on device")

    def flush(self):
        pass


@pytest.mark.parametrize("stream", [None, _Full()])
def test_a_log_that_takes_nothing_stops_no_work(monkeypatch, stream):
    monkeypatch.setattr(sys, "stderr", stream)
    with progress_bar() as progress:
        progress.stage("reading")


class _Terminal(io.StringIO):
    def isatty(self):
        return True


def test_brackets_and_escapes_in_a_name_do_nothing_in_the_bar(monkeypatch):
    terminal = _Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress_bar() as progress:
        progress.stage("calibrating (a[/b]c\x1b]0;title\x07)")
    assert r"a[/b]c\x1b]0;title" in terminal.getvalue()
