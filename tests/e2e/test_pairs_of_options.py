"""Every two things that a verdict can rest on work together, or are refused before anything is measured or spent."""

import itertools
import json

import numpy as np
import pytest

from edgefair.bundle.redecision import check_decision
from edgefair.report.results.verification import Report
from edgefair.workflow.clock import today
from tests.attacks.judged import linear, people, run, spec, write_project

WAIVER = "policy.waivers=[{{comparison: '{}', reason: r, owner: o, expires: 2100-01-01}}]"
# Name -> what is asked for.
ASKED = {
    "sequential": ["--sequential"],
    "sealed": ["--set", "policy.audit=sealed"],
    "joined": ["--reference-audit", "{audit}"],
    "audited": ["--write-reference-audit", "{folder}/new.json"],
    "recorded": ["--record", "{folder}/raw.npz"],
    "errors": ["--set", "policy.errors.attributes.sex=0.01", "--set", "policy.errors.labels=0.005"],
    "people": ["--set", "data.subject=who"],
    "rows": ["--set", "data.subject=who", "--set", "policy.subject_weights=rows"],
    "point": ["--rule", "point"],
    "warn": ["--set", "policy.on_inconclusive=warn"],
    "waiver": ["--set", WAIVER.format("sex: TPR, f / m")],
    "two targets": ["--target", "local", "--target", "{folder}/second.yaml"],
    "no comparison": ["--set", WAIVER.format("sex: TPR, f / x")],
}
# What one of them refuses, whatever else is asked for.
REFUSED = {
    ("sequential", "sealed"): "tell more of sealed rows than one bit",
    ("sequential", "joined"): "--sequential with --reference-audit",
    ("sequential", "audited"): "--sequential with --write-reference-audit",
    ("sequential", "recorded"): "--sequential with --record",
    ("sequential", "rows"): "subject_weights: rows",
    ("sequential", "point"): "--sequential with policy.rule: point",
    ("sealed", "audited"): "holds the counts of its rows, and policy.audit is sealed",
    ("sealed", "recorded"): "policy.audit is sealed",
    ("sealed", "point"): "audit: sealed and rule: point contradict",
    ("sealed", "warn"): "audit: sealed and on_inconclusive: warn contradict",
    ("joined", "audited"): "nothing is to be joined",
    ("joined", "rows"): "the reference audit counts people",
}
NO_COMPARISON = "which is not a comparison of this policy"
MODELS = ("int8", "unfair")
# Of which there is one.
ALONE = {"people", "rows"}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Rows of 2,500 people, a reference, one that was compressed, an unfair one, and audits of the reference."""
    columns = people(5000)
    columns["who"] = np.array([f"p{who}" for who in np.random.default_rng(3).integers(0, 2500, 5000)])
    folder = write_project(tmp_path_factory.mktemp("pairs"), rows=columns)
    for name, weights in (("fp32", (2.0, 0.0, 0.0)), ("int8", (2.0, 0.02, 0.0)), ("unfair", (2.0, 1.0, 0.0))):
        linear(folder / f"{name}.onnx", weights, said=spec())
    (folder / "second.yaml").write_text("name: second\ntransport: local\nlatency: {measured: false}\n")
    for name, settings in (("rows", []), ("people", ASKED["people"])):
        written = ["--write-reference-audit", folder / f"{name}.json"]
        done = run("verify", folder, folder / "fp32.onnx", "--uncompressed", "--no-latency", *written, *settings)
        assert done.exit_code in {0, 3}, done.output
    (folder / "edgefair.ledger.jsonl").unlink()
    return folder


def ask(project, chosen, model, *more):
    """The outcome of a verdict, and what it left behind: the report, and which files."""
    before = {path.name for path in project.iterdir()}
    audit = project / ("people.json" if ALONE & set(chosen) else "rows.json")
    said = [item.format(audit=audit, folder=project) if "{" in item and "waivers" not in item else item
            for name in chosen for item in ASKED[name]]  # fmt: skip
    of = ["--uncompressed"] if "audited" in chosen else ["--reference", project / "fp32.onnx"]
    done = run("verify", project, project / model, "--no-latency", "--json", *of, *said, *more)
    left = {path.name for path in project.iterdir()} - before
    for name in left:
        (project / name).unlink()
    return done, left


PAIRS = [pair for pair in itertools.combinations(ASKED, 2) if set(pair) != ALONE]


@pytest.mark.parametrize("chosen", PAIRS, ids="+".join)
def test_two_work_together_or_are_refused_before_anything_is_spent(project, chosen):
    refusal = REFUSED.get(chosen) or (NO_COMPARISON if "no comparison" in chosen else None)
    for model in MODELS if refusal is None else MODELS[:1]:
        done, left = ask(project, chosen, f"{model}.onnx")
        said = json.loads(done.stdout)
        if refusal is not None:
            assert (done.exit_code, left, said["schema"]) == (2, set(), "edgefair.error/1"), done.output
            assert refusal in " ".join(done.stderr.split())
            assert "deciding" not in done.stderr
            continue
        assert done.exit_code == said["exit_code"] == Report.from_json(said).exit_code
        assert (model, said["outcome"]) != ("unfair", "PASS")
        assert "edgefair.ledger.jsonl" in left
        assert len(said["targets"]) in ({0, 2} if "two targets" in chosen else {0, 1})
        if said["targets"]:
            check_decision(said, today=today())


def test_under_a_seal_a_joined_verdict_says_its_own_level_and_nothing_until_it_passes(project):
    both, wide = ("sealed", "joined"), ("--max-eo-gap", "0.2")
    passed, blocked = (json.loads(ask(project, both, f"{name}.onnx", *wide)[0].stdout) for name in MODELS)
    assert "of alpha 0.025 the limits" in passed["notes"][0]
    assert (blocked["targets"], blocked["disagreements"]) == ([], [])
    assert not [note for note in blocked["notes"] if "as it was audited" in note]
