"""A sequential verdict under another level, at another look or on other rows than were planned is not signed."""

import json

import pytest
from click.testing import CliRunner

from edgefair.bundle.redecision import check_decision
from edgefair.cli import main
from edgefair.errors import ModelError
from edgefair.measure.sequential.levels import levels
from edgefair.probe.bundles.runtime import BundleError, load
from edgefair.workflow.clock import today
from tests.attacks.judged import CONFIG, linear, people, run, write_project
from tests.bundle.small_bundle import write_key, write_manifest

ALL = CONFIG.replace("policy:", "  split: {audit_fraction: 1}\npolicy:")


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """A bundle that PASSed at an early look, and its report."""
    folder = write_project(tmp_path_factory.mktemp("looks"), ALL, people(12_000))
    done = run("export", folder, linear(folder / "m.onnx"), "--no-latency", "--sequential", "-o", folder / "bundle")
    assert done.exit_code == 0, done.output
    return folder / "bundle", json.loads((folder / "bundle/report.json").read_text())


def copied(shipped):
    return json.loads(json.dumps(shipped[1]))


def looks(report):
    return report["targets"][0]["looks"]


def verdict(report):
    return report["targets"][0]["verdict"]


def all_of_alpha(report):
    """As if there had been one look."""
    verdict(report)["alpha"] = 0.05
    looks(report)["levels"] = [0.05] * 5


def a_later_look(report):
    """Which may err more."""
    looks(report).update(taken=5)
    verdict(report)["alpha"] = levels(0.05)[4].passing


def no_looks(report):
    report["targets"][0]["looks"] = None


def no_looks_and_fewer_rows_at_hand(report):
    no_looks(report)
    report["audit"]["rows"] = report["data"]["rows"]["audit"] = 2400
    verdict(report)["alpha"] = 0.05


def other_fractions(report):
    looks(report)["fractions"] = [0.1, 0.2, 0.3, 0.4, 1.0]


def fewer_rows_at_hand(report):
    looks(report).update(rows_at_hand=looks(report)["rows"], units_at_hand=looks(report)["rows"])


def fewer_units(report):
    looks(report).update(units=1)


def by_estimates(report):
    report["policy"]["rule"] = "point"


def look_of_text(report):
    looks(report)["taken"] = True


FORGERIES = [
    (all_of_alpha, "levels"),
    (a_later_look, "at look 5"),
    (no_looks, "12,000 audit rows"),
    (no_looks_and_fewer_rows_at_hand, "its report contradicts itself"),
    (other_fractions, r"looks at \[0\.1"),
    (fewer_rows_at_hand, "at look"),
    (fewer_units, "at look"),
    (by_estimates, "judged sequentially"),
    (look_of_text, "cannot be decided again"),
]


def test_the_report_as_it_was_written_is_decided_again(shipped):
    check_decision(copied(shipped), today=today())
    load(shipped[0])


@pytest.mark.parametrize(("change", "message"), FORGERIES)
def test_forged_looks_are_not_decided_again(shipped, change, message):
    report = copied(shipped)
    change(report)
    with pytest.raises(ModelError, match=message):
        check_decision(report, today=today())


def test_who_stops_before_a_verdict_is_shown_and_lets_inconclusive_through_ships_nothing(shipped):
    """Few rows cannot show a small threshold; `warn` would let that through, had the looks ended there."""
    report = copied(shipped)
    report["policy"].update(max_eo_gap=0.02, on_inconclusive="warn")
    with pytest.raises(ModelError, match="was left at look 1"):
        check_decision(report, today=today())


@pytest.mark.parametrize("change", [all_of_alpha, a_later_look, no_looks])
def test_a_bundle_with_forged_looks_is_not_signed(shipped, tmp_path, change):
    bundle, honest = shipped
    report = copied(shipped)
    change(report)
    (bundle / "report.json").write_text(json.dumps(report))
    write_manifest(bundle)
    try:
        key = write_key(tmp_path / "key.pem")
        done = CliRunner().invoke(main, ["sign", str(bundle), "--key", str(key)])
        assert done.exit_code == 2, done.output
        assert "contradict" in done.output or "where" in done.output
    finally:
        (bundle / "report.json").write_text(json.dumps(honest))
        write_manifest(bundle)


@pytest.mark.parametrize(
    "change",
    [
        lambda report: verdict(report).update(alpha=0.05),
        lambda report: looks(report)["levels"].__setitem__(0, 0.5),
        lambda report: looks(report).update(rows=12_001),
        lambda report: looks(report).update(taken=6),
        lambda report: looks(report).update(taken=0),
        lambda report: looks(report).update(levels=[]),
        no_looks,
    ],
)
def test_a_device_loads_no_bundle_whose_looks_do_not_add_up(shipped, change):
    bundle, honest = shipped
    report = copied(shipped)
    change(report)
    (bundle / "report.json").write_text(json.dumps(report))
    write_manifest(bundle)
    try:
        with pytest.raises(BundleError):
            load(bundle)
    finally:
        (bundle / "report.json").write_text(json.dumps(honest))
        write_manifest(bundle)
