"""A report that does not carry its own verdict is neither signed nor loaded, however well its digests agree."""

import json

import numpy as np
import pytest

from edgefair._version import __version__
from edgefair.bundle.manifest import open_bundle
from edgefair.bundle.redecision import check_decision
from edgefair.bundle.signing import load_signing_key, sign_bundle
from edgefair.decision.evidence import Evidence
from edgefair.decision.policy import Policy
from edgefair.decision.verdict import EXIT_CODES
from edgefair.errors import ModelError
from edgefair.measure.counts import GroupCounts
from edgefair.measure.latency import SpeedUp, notes_of, summarize
from edgefair.probe.bundles import consistency
from edgefair.probe.bundles.consistency import check_report, policy_digest
from edgefair.probe.bundles.gates import NAMES
from edgefair.probe.bundles.runtime import BundleError, load
from edgefair.report.titles import TITLES
from edgefair.workflow.clock import today
from tests.bundle.small_bundle import COUNTS, POLICY, report_on, write_bundle, write_key, write_manifest


def verdict(report):
    return report["targets"][0]["verdict"]


def gate(report, name="equalized-odds gap"):
    (found,) = (item for item in verdict(report)["gates"] if item["name"] == name)
    return found


def forged(folder, change, **how):
    """A bundle whose report was changed by whoever also wrote the manifest."""
    write_bundle(folder, **how)
    report = json.loads((folder / "report.json").read_text())
    change(report)
    (folder / "report.json").write_text(json.dumps(report))
    write_manifest(folder)
    return folder


def refused(bundle, tmp_path, message):
    """By the device, and by whoever would sign it."""
    with pytest.raises(BundleError, match=message):
        load(bundle)
    with pytest.raises(ModelError, match=message):
        sign_bundle(bundle, load_signing_key(write_key(tmp_path / "key.pem")))


def gates_fail(report):
    for item in verdict(report)["gates"]:
        item["outcome"] = "FAIL"
    verdict(report).update(outcome="FAIL", exit_code=1)


def unfair_counts(report):
    report["targets"][0]["counts"]["table"] = [[[1000, 0], [900, 100]], [[0, 1000], [0, 1000]]]


def fewer_counts(report):
    report["targets"][0]["counts"]["table"][0][0][0] -= 1


def loose_threshold(report):
    gate(report)["threshold"] = gate(report)["binding"]["threshold"] = 0.9
    report["policy"]["max_eo_gap"] = 0.9


def limits_beyond(report):
    gate(report)["binding"]["upper"] = gate(report)["upper"] = 0.2


def floor_missed(report):
    gate(report, "worst-group balanced accuracy")["lower"] = 0.4


def collapsed(report):
    gate(report, "decisions vary")["estimate"] = 1.0


def gate_left_out(report):
    verdict(report)["gates"] = [item for item in verdict(report)["gates"] if "balanced" not in item["name"]]


def budget_left_out(report):
    report["targets"][0]["budgets"] = {"max_size_bytes": 10}


def another_gap(report):
    gate(report)["estimate"] = 0.001


def added_target(report):
    report["targets"].append(json.loads(json.dumps(report["targets"][0])))
    report["targets"][1]["verdict"].update(outcome="INCONCLUSIVE", exit_code=3)


FORGERIES = [
    (gates_fail, "its outcome is PASS, where FAIL follows"),
    (unfair_counts, "'equalized-odds gap' is 0.01.*, and 1.0 by the counts"),
    (fewer_counts, "the number of rows is 3999, where 4000 follows"),
    (loose_threshold, "the policy's digest"),
    (limits_beyond, "'equalized-odds gap' is PASS, with 0.2 at a threshold of 0.1"),
    (floor_missed, "balanced accuracy' is PASS, with 0.4 at a threshold of 0.5"),
    (collapsed, "'decisions vary' is PASS, with 1.0 at a threshold of 2"),
    (gate_left_out, "asks for the gate 'worst-group balanced accuracy', which was not judged"),
    (budget_left_out, "asks for the gate 'size', which was not judged"),
    (another_gap, "'equalized-odds gap' is 0.001, and"),
    (added_target, "the verdict is INCONCLUSIVE, where PASS follows"),
    (lambda report: report.update(targets=[]), "not judged on any target"),
    (lambda report: report["model"].update(bytes=1), "belongs to another model file"),
    (lambda report: verdict(report).update(outcome="FAIL"), "the verdict is FAIL, where PASS follows"),
    (lambda report: verdict(report).update(exit_code=1), "the exit code is 1, where 0 follows"),
    (lambda report: verdict(report).update(alpha=0.4), "alpha is 0.4, where 0.05 follows"),
    (lambda report: gate(report).update(outcome="FINE"), "an outcome is 'FINE'"),
    (lambda report: gate(report).update(outcome="INCONCLUSIVE"), "the verdict is PASS, where INCONCLUSIVE follows"),
    (lambda report: gate(report)["binding"].update(outcome="FAIL"), "the outcome of 'equalized-odds gap' is PASS, wh"),
    (lambda report: verdict(report)["gates"].append(gate(report)), "a gate is listed twice"),
    (lambda report: report["audit"].update(rows=1), "the number of rows is 4000, where 1 follows"),
    (lambda report: gate(report).update(id="latency_p90"), "the gate 'equalized-odds gap' is called 'latency_p90'"),
    (lambda report: gate(report).update(direction="at_least"), "'equalized-odds gap' is called 'eo_gap', 'at_least'"),
    (lambda report: gate(report)["binding"].update(code="too_few"), "a comparison is 'too_few', for the reason ''"),
    (lambda report: report.update(schema="edgefair.report/1"), "'.*/2'"),
]


@pytest.mark.parametrize(("change", "message"), FORGERIES)
def test_a_report_that_contradicts_itself_is_not_signed_and_not_loaded(tmp_path, change, message):
    refused(forged(tmp_path / "b", change), tmp_path, message)


def test_the_same_bundle_unforged_is_signed_and_loaded(tmp_path):
    bundle = forged(tmp_path / "b", lambda _: None)
    sign_bundle(bundle, load_signing_key(write_key(tmp_path / "key.pem")))
    load(bundle)


def test_a_report_of_a_version_whose_policy_had_fewer_keys_is_signed_and_loaded(tmp_path):
    """A later version knows more of them; what was judged is what the report holds."""

    def fewer(report):
        del report["policy"]["max_excess_loss"]
        verdict(report)["policy_digest"] = policy_digest(report["policy"])

    bundle = forged(tmp_path / "b", fewer)
    sign_bundle(bundle, load_signing_key(write_key(tmp_path / "key.pem")))
    load(bundle)


def test_a_manifest_of_another_outcome_than_the_report_is_refused(tmp_path):
    bundle = write_bundle(tmp_path / "b")
    write_manifest(bundle, "INCONCLUSIVE")
    refused(bundle, tmp_path, "its manifest says INCONCLUSIVE: not a verdict that may ship")


def test_an_outcome_fail_with_exit_code_0_does_not_ship(tmp_path):
    bundle = forged(tmp_path / "b", lambda report: report.update(outcome="FAIL"))
    write_manifest(bundle, "FAIL")
    refused(bundle, tmp_path, "its outcome is FAIL, where PASS follows")


FEW = GroupCounts(COUNTS.attributes, COUNTS.groups, COUNTS.classes, COUNTS.table // 20)


def test_what_the_policy_lets_through_as_inconclusive_is_loaded_and_no_more(tmp_path):
    warn = Policy(**{**POLICY.model_dump(), "on_inconclusive": "warn"})
    bundle = write_bundle(tmp_path / "warn", counts=FEW, by=warn, outcome="INCONCLUSIVE", exit_code=0)
    write_manifest(bundle, "INCONCLUSIVE")
    assert load(bundle).report["outcome"] == "INCONCLUSIVE"

    def beyond(report):
        gate(report)["binding"].update(lower=0.2, upper=0.3)

    bundle = forged(tmp_path / "beyond", beyond, counts=FEW, by=warn, outcome="INCONCLUSIVE", exit_code=0)
    write_manifest(bundle, "INCONCLUSIVE")
    refused(bundle, tmp_path, "is INCONCLUSIVE, with 0.2 beyond 0.1")
    bundle = write_bundle(tmp_path / "block", counts=FEW, outcome="INCONCLUSIVE", exit_code=0)
    write_manifest(bundle, "INCONCLUSIVE")
    refused(bundle, tmp_path, "its exit code is 0, where 3 follows")


def test_honest_reports_of_every_kind_of_gate_are_loaded(tmp_path):
    """Intersections, own thresholds, waivers, other metrics, three classes, the point rule, thin cells."""
    rng = np.random.default_rng(0)

    def counts(groups, attributes, classes, right=0.9, n=4000):
        size = len(classes)
        rates = np.full((size, size), (1 - right) / (size - 1)) + np.eye(size) * (right - (1 - right) / (size - 1))
        table = np.stack([np.stack([rng.multinomial(n, rate) for rate in rates]) for _ in groups])
        return GroupCounts(attributes, groups, classes, table)

    two = counts((("F", "old"), ("F", "young"), ("M", "old"), ("M", "young")), ("sex", "age"), ("no", "yes"))
    own = {
        "sex": {"groups": ["F", "M"], "max_eo_gap": 0.2, "metrics": {"accuracy_difference": 0.2}},
        "age": {"groups": ["old", "young"]},
        "sex*age": {"max_eo_gap": 0.3},
    }
    waived = {"sex": {"groups": ["F", "M"], "max_eo_gap": 0.0001}}
    waivers = [
        {"comparison": f"sex: {rate}, F / M", "reason": "r", "owner": "o", "expires": "2999-01-01"}
        for rate in ("FPR", "TPR")
    ]
    limits = {"metrics": {"demographic_parity_difference": 0.2}, "min_group_accuracy": 0.5}
    three = counts((("F",), ("M",)), ("sex",), ("a", "b", "c"))
    for number, (found, policy) in enumerate([
        (two, Policy(max_eo_gap=0.1, attributes=own, min_balanced_accuracy=0.7, **limits)),
        (two, Policy(max_eo_gap=0.1, attributes=own, rule="point")),
        (three, Policy(max_eo_gap=0.1, attributes={"sex": {"groups": ["F", "M"]}})),
    ]):  # fmt: skip
        assert_consistent(found, policy)
        if found is two:
            load(write_bundle(tmp_path / str(number), counts=found, by=policy))
    assert_consistent(two, Policy(attributes=waived, waivers=waivers[:1], on_inconclusive="warn"))
    assert_consistent(two, Policy(attributes=waived, waivers=waivers, on_inconclusive="warn"))
    assert_consistent(
        GroupCounts(("sex",), (("F",),), ("no", "yes"), COUNTS.table[:1]),
        Policy(attributes={"sex": {"groups": ["F", "M"]}}, on_inconclusive="warn"),
    )


def assert_consistent(counts, policy):
    report = json.loads(json.dumps(report_on(counts, policy)))
    check_report(report, outcome=report["outcome"], sha256="0" * 64, size=1, classes=counts.classes)
    check_decision(report, today=today())


def test_a_spec_beside_the_model_that_is_not_the_models_is_refused(tmp_path):
    bundle = write_bundle(tmp_path / "b")
    (bundle / "spec.json").write_text((bundle / "spec.json").read_text().replace('"no","yes"', '"yes","no"'))
    write_manifest(bundle)
    with pytest.raises(BundleError, match=r"'spec\.json' of .* is not the spec that its model carries"):
        load(bundle)
    with pytest.raises(ModelError, match=r"'spec\.json' in bundle .* is not the spec embedded in 'model\.onnx'"):
        open_bundle(bundle)


def test_a_verdict_about_other_classes_than_the_models_is_refused(tmp_path):
    swapped = GroupCounts(COUNTS.attributes, COUNTS.groups, ("yes", "no"), COUNTS.table)
    with pytest.raises(BundleError, match=r"the classes is \['yes', 'no'\], where \['no', 'yes'\] follows"):
        load(write_bundle(tmp_path / "b", counts=swapped))


def test_the_gates_that_a_device_knows_are_those_of_the_decision():
    assert {*NAMES} == {*consistency.ALWAYS, *consistency.ASKED.values()} == {*TITLES}
    assert set(consistency.ASKED) <= set(Policy.model_fields)
    limits = {key for key in Policy.model_fields if key.startswith(("max_", "min_"))}
    assert limits - set(consistency.ASKED) == {"max_eo_gap", "min_cell_rows"}
    assert {str(code): number for code, number in EXIT_CODES.items()} == consistency.EXIT_CODES


def nicer_rate(report):
    verdict(report)["attributes"][0]["groups"][0]["rates"][1]["rate"] += 0.01


def better_accuracy(report):
    verdict(report)["accuracy"] += 0.01


def another_group(report):
    gate(report)["binding"]["group_a"] = "Nobody"


def closer(report):
    gate(report)["binding"]["upper"] -= 0.01


def more_rows(report):
    gate(report)["binding"]["n_a"] += 1000


def left_out(report):
    verdict(report)["comparisons"].pop()


def listed_twice(report):
    listed = verdict(report)["comparisons"]
    listed[-1] = listed[0]


def nicer_comparison(report):
    verdict(report)["comparisons"][-1]["upper"] -= 0.01


def another_reason(report):
    verdict(report)["comparisons"][-1]["code"] = "too_few"


def nicer_metric(report):
    verdict(report)["metrics"]["sex"]["equalized_odds_ratio"] += 0.1


def narrower_interval(report):
    report["targets"][0]["information"]["gaps"] = {"sex": {"value": 0.01, "lower": 0.0, "upper": 0.02}}


def scores_of_others(report):
    groups = [{"group": name, "positives": 1, "negatives": 1, "auc": None, "calibration": None} for name in "FM"]
    report["targets"][0]["information"]["scores"] = {"sex": groups}


def flips_of_nothing(report):
    report["targets"][0]["flips"] = [{"group": ["F"], "label": "no", "rows": 1}]


BESIDE = [nicer_rate, better_accuracy, another_group, closer, more_rows, left_out, listed_twice, nicer_comparison]
BESIDE += [another_reason, nicer_metric, narrower_interval, scores_of_others, flips_of_nothing]


@pytest.mark.parametrize("change", BESIDE)
def test_numbers_beside_the_gates_are_those_of_the_evidence_or_it_is_not_signed(tmp_path, change):
    bundle = forged(tmp_path / "bundle", change)
    with pytest.raises(ModelError, match="contradicts itself"):
        sign_bundle(bundle, load_signing_key(write_key(tmp_path / "key.pem")))


def test_a_report_without_the_note_that_its_clock_gives_is_not_signed():
    """The speed-up of the candidate, and a device that became slower, are notes that follow from numbers."""
    times = np.concatenate([np.full(400, 1_000_000), np.full(400, 2_000_000)])
    clock = summarize(times, level=POLICY.alpha)
    evidence = Evidence(COUNTS, size_bytes=1, latency=clock)
    report = json.loads(json.dumps(report_on(COUNTS, POLICY)))
    report["targets"][0] |= {"latency": clock.to_json(), "evidence": evidence.to_json()}
    report["version"] = __version__
    report["targets"][0]["speed_up"] = {"ratio": 0.5, "lower": 0.4, "upper": 0.6}
    device = report["targets"][0]["device"]
    report["notes"] = notes_of("device 0", device, clock, SpeedUp(0.5, 0.4, 0.6))
    assert [("slower" in note) for note in report["notes"]] == [True, True]
    check_decision(report, today=today())
    for kept in report["notes"]:
        with pytest.raises(ModelError, match="its notes lack what is so of target 'device 0'"):
            check_decision({**report, "notes": [kept]}, today=today())
