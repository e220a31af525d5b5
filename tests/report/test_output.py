"""Where reports and pictures may be written is known before the work."""

import re

import pytest

from edgefair.errors import UsageError
from edgefair.report.charts.png import check_png
from edgefair.report.places import check_folders


def test_a_file_that_can_be_written_is_neither_made_nor_touched(tmp_path):
    (tmp_path / "old.png").write_bytes(b"old")
    check_folders(None, tmp_path / "report.json")
    for name in ("old.png", "new.PNG"):
        check_png(tmp_path / name)
    check_png(None)
    assert [path.name for path in tmp_path.iterdir()] == ["old.png"]
    assert (tmp_path / "old.png").read_bytes() == b"old"


@pytest.mark.parametrize("check", [check_folders, check_png])
def test_a_place_that_takes_no_file_is_refused(tmp_path, monkeypatch, check):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.png").mkdir()
    for name, message in (
        ("folder.png", "it is a folder"),
        ("absent/a.png", "no folder 'absent'"),
        ("/proc/a.png", "no file can be made in '/proc'"),
    ):
        with pytest.raises(UsageError, match=re.escape(message)):
            check(tmp_path / name if name.startswith("folder") else type(tmp_path)(name))


@pytest.mark.parametrize("name", ["heat.jpg", "heat", ".png"])
def test_a_picture_by_another_name_than_its_kind_is_refused(tmp_path, name):
    with pytest.raises(UsageError, match="not the name of a PNG file"):
        check_png(tmp_path / name)
