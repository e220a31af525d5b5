"""Getting a sealed verdict for nothing: by killing it, by asking twice at once, by cutting the rows or the account."""

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

import edgefair
from edgefair.errors import UsageError
from edgefair.workflow.measurement import judge as judging
from edgefair.workflow.measurement.ledger import LEDGER
from tests.attacks.judged import linear, run, spec
from tests.attacks.sealed import ACCOUNT, audit, events, export, lines, project, refused, verify
from tests.e2e.forked import exit_code

__all__ = ["project"]


def judged(project, model, dies_in=None):
    """In a process of its own: an export that may be killed where a verdict is taken, or where its PASS is entered."""
    place = {"verdict": (judging.Counted, "judged"), "pass": (judging, "enter_pass")}
    if dies_in is not None:
        setattr(*place[dies_in], lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
    edgefair.export(edgefair.load_config(project / "edgefair.yaml"), model=project / model, latency=False)


@pytest.mark.parametrize("where", ["verdict", "pass"])
def test_a_verdict_that_is_killed_before_anybody_hears_of_it_is_spent(project, where):
    assert exit_code(judged, project, "fair.onnx", where) == -9
    assert events(project) == ["asked"]
    assert not (project / "dist/people").exists()
    _, found = verify(project)
    assert found["seal"]["verdict"] == 2
    assert not [path for path in project.iterdir() if path.name.startswith(".")], "no lock is left"


def test_two_exports_at_once_on_one_account_are_verdicts_of_their_own(project):
    with ThreadPoolExecutor() as pool:
        running = [
            pool.submit(exit_code, judged, project, name) for name in ("unfair.onnx", "worse.onnx", "unfair.onnx")
        ]
        assert [each.result() for each in running] == [0, 0, 0]
    assert sorted(line["number"] for line in lines(project)) == [1, 2, 3]
    assert [line["level"] for line in lines(project)] == [0.05 / 2, 0.05 / 6, 0.05 / 12]


def test_a_project_that_shares_the_account_shares_what_is_spent(project, tmp_path_factory):
    """Two rows fewer, another folder, another order: the same people."""
    verify(project, "unfair.onnx")
    other = tmp_path_factory.mktemp("other")
    table = pyarrow.parquet.read_table(project / "people.parquet")
    kept = np.random.default_rng(1).permutation(len(table))[2:]
    pyarrow.parquet.write_table(table.take(kept), other / "people.parquet")
    config = (project / "edgefair.yaml").read_text() + f"account: {project / ACCOUNT}\n"
    (other / "edgefair.yaml").write_text(config)
    linear(other / "worse.onnx", (2.0, 2.0, 0.5), said=spec())
    assert verify(other, "worse.onnx")[1]["seal"] == {
        "account": ACCOUNT, "verdict": 2, "level": 0.05 / 6, "head": lines(project)[-1]["digest"],
    }  # fmt: skip
    audit(project, "open")
    assert "was opened" in refused(other, "verify", other / "worse.onnx", "--no-latency")


def test_an_account_that_was_cut_is_known_by_the_ledger_and_by_every_report(project):
    verify(project, "unfair.onnx")
    assert export(project, "unfair.onnx").exit_code == 3
    blocked = project / "dist/people.blocked.json"
    assert audit(project, "status", "--holds", blocked).exit_code == 0
    whole = (project / ACCOUNT).read_bytes()
    (project / ACCOUNT).write_bytes(whole.splitlines(keepends=True)[0])
    for command in (("verify", project / "fair.onnx", "--no-latency"), ("export", project / "fair.onnx")):
        assert "which the ledger beside the config knows of" in refused(project, *command)
    (project / LEDGER).unlink()
    done = audit(project, "status", "--holds", blocked)
    assert done.exit_code == 2
    assert "dist/people.blocked.json' knows of" in " ".join(done.stderr.split())
    (project / ACCOUNT).write_bytes(whole.replace(b'"number":2', b'"number":1'))
    assert "was edited or cut" in refused(project, "verify", project / "fair.onnx", "--no-latency")


def test_a_report_without_a_seal_is_no_witness(project):
    (project / "report.json").write_text('{"outcome": "PASS"}')
    for name in ("report.json", "absent.json", "."):
        done = audit(project, "status", "--holds", project / name)
        assert (done.exit_code, done.stdout) == (2, "")
        assert "is no report of a sealed verdict" in done.stderr


BAD = [
    ({"policy.attributes.sex.groups": ["f", "x"]}, "does not declare it"),
    ({"policy.on_inconclusive": "warn"}, "tells INCONCLUSIVE from FAIL"),
    ({"policy.rule": "point"}, "estimates spend no error probability"),
    ({"data.label": "labels"}, "labels"),
    ({"targets": ["no-such-board"]}, "no-such-board"),
    (
        {"policy.waivers": [{"comparison": "sex: TPR, f / m", "reason": "r", "owner": "o", "expires": "2020-01-01"}]},
        "expired",
    ),
]


@pytest.mark.parametrize(("keys", "message"), BAD)
def test_what_is_refused_spends_nothing(project, keys, message):
    flags = [item for key, value in keys.items() for item in ("--set", f"{key}={json.dumps(value)}")]
    for command in ("verify", "export"):
        assert message in refused(project, command, project / "fair.onnx", "--no-latency", *flags)
    assert not (project / ACCOUNT).exists()


def test_a_model_that_cannot_be_measured_spends_nothing(project):
    linear(project / "nan.onnx", (float("nan"), 0.0, 0.0), said=spec())
    done = run("verify", project, project / "nan.onnx", "--no-latency")
    assert done.exit_code == 4
    (project / "broken.onnx").write_bytes(b"no model")
    assert run("verify", project, project / "broken.onnx", "--no-latency").exit_code == 2
    assert not (project / ACCOUNT).exists()


def test_an_account_that_is_spent_judges_nothing_more(project):
    spent = ("--set", "policy.alpha=1e-9")
    for number in (1, 2):
        done = run("verify", project, project / "fair.onnx", "--no-latency", *spent)
        assert done.exit_code == 3
        assert "is spent" in done.stdout
        assert f"seal: verdict {number}" in done.stdout
    assert "alpha 1e-09 is spent" in audit(project, "status", *spent).stdout


def test_rows_that_nobody_sealed_cannot_be_opened(project):
    done = audit(project, "open", "--set", "policy.audit=open")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "are not sealed" in done.stderr


def test_the_python_interface_is_charged_and_counts_alone_are_refused(project):
    config = edgefair.load_config(project / "edgefair.yaml")
    report = edgefair.verify(config, project / "unfair.onnx", latency=False)
    assert (report.exit_code, report.targets, report.seal.verdict) == (3, (), 1)
    assert edgefair.audit_status(config).asked == 1
    counts = edgefair.GroupCounts(("sex",), (("f",), ("m",)), ("no", "yes"), np.full((2, 2, 2), 100))
    for judge in (edgefair.decide, edgefair.assert_fair):
        with pytest.raises(edgefair.errors.PolicyError, match="there for all to see"):
            judge(counts, config.policy)
    edgefair.open_audit(config, reason="test")
    with pytest.raises(UsageError, match="open already"):
        edgefair.open_audit(config)
