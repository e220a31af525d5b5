"""A table is read without pandas, which pyarrow loads for some calls wherever it is installed."""

import subprocess
import sys

import pytest

from tests.data.test_readers_and_load import COLUMNS, write

READING = """
import sys
from pathlib import Path
from edgefair.data.files.readers import read_table
for path in map(Path, sys.argv[1:]):
    print(path, *read_table(path, list).columns)
print(*sys.modules)
"""


def test_no_table_loads_pandas_which_takes_longer_than_it_to_load(tmp_path):
    pytest.importorskip("pandas")
    names = ["people.parquet", "people.csv", "people.npz"]
    columns = COLUMNS | {"weight": [1.5, None, *range(6)], "height": [0, 1, None, *range(5)]}
    for name in names:
        write(tmp_path, COLUMNS if name.endswith(".npz") else columns, name)
    command = [sys.executable, "-c", READING, *names]
    *tables, modules = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert [set(table.split()[1:]) for table in tables] == [{*columns}, {*columns}, {*COLUMNS}]
    assert "pyarrow" in modules.split()
    assert "pandas" not in modules.split()
