"""The plugin for pytest: a fixture that measures a model file, and a line at the end that says what was judged.

pytest loads it wherever edgefair is installed, so nothing of edgefair is imported before a test asks for it.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

if TYPE_CHECKING:
    from edgefair.report.results.verification import Report

# A property of a test's report, which reaches JUnit files and comes back from other processes of pytest-xdist.
JUDGED = "edgefair"


class Judge(Protocol):
    """Measures a model file on the targets of a project and judges it by the project's policy."""

    def __call__(
        self,
        path: str | Path | None = None,
        *,
        config: str | Path = "edgefair.yaml",
        reference: str | Path | None = None,
        latency: bool = False,
        **overrides: object,
    ) -> Report:
        """The report of `edgefair.verify`.

        Args:
            path: a bundle or a model file; default: the bundle of the project.
            config: the project's edgefair.yaml.
            reference: the model before compression.
            latency: whether to measure it; a busy machine of tests times badly.
            overrides: keys of the config, dots written as two underscores (policy__max_eo_gap=0.03).

        Raises:
            EdgefairError: nothing was judged, see the message.
        """
        ...


@pytest.fixture
def edgefair_verify(request: pytest.FixtureRequest) -> Judge:
    """A function that measures and judges a model file: `assert_fair(edgefair_verify("model.onnx"))`."""

    def judge(
        path: str | Path | None = None,
        *,
        config: str | Path = "edgefair.yaml",
        reference: str | Path | None = None,
        latency: bool = False,
        **overrides: object,
    ) -> Report:
        from edgefair import load_config, verify

        keys = {name.replace("__", "."): value for name, value in overrides.items()}
        report = verify(load_config(Path(config), keys), path, reference=reference, latency=latency)
        request.node.user_properties.append((JUDGED, str(report.outcome)))
        return report

    return judge


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many models were judged, and with which outcomes; nothing where none was."""
    judged = [
        outcome
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", None) == "call"
        for name, outcome in report.user_properties
        if name == JUDGED
    ]
    if judged:
        outcomes = ", ".join(f"{count} {outcome}" for outcome, count in sorted(Counter(judged).items()))
        terminalreporter.write_line(f"edgefair: {len(judged)} judged: {outcomes}")
