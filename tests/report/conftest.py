"""Reports are as wide as a file of them, whoever runs the tests."""

import pytest


@pytest.fixture(autouse=True)
def _no_terminal(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
