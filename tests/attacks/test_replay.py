"""A bundle that was signed once is signed for ever: a device says which release it takes."""

import json

import pytest
from click.testing import CliRunner

from edgefair.bundle.signing import load_signing_key, sign_bundle
from edgefair.cli import main
from edgefair.decision.policy import Policy
from edgefair.errors import UsageError
from edgefair.probe.bundles.demands import Demands, moment
from edgefair.probe.bundles.runtime import BundleError, load
from tests.bundle.small_bundle import COUNTS, CREATED, POLICY, private_key, public_pem, write_bundle, write_key
from tests.bundle.small_bundle import write_manifest as list_files

PUBLIC = public_pem(private_key())


@pytest.fixture
def key(tmp_path, monkeypatch):
    monkeypatch.delenv("EDGEFAIR_SIGNING_PASSPHRASE", raising=False)
    return write_key(tmp_path / "edgefair.key")


@pytest.fixture
def bundle(tmp_path, key):
    """Release 7."""
    bundle = write_bundle(tmp_path / "bundle")
    sign_bundle(bundle, load_signing_key(key), counter=7)
    return bundle


MET = [
    {"project": "people"},
    {"policy": POLICY.digest},
    {"policy": POLICY.digest.upper()},
    {"not_before": "2026-11-01"},
    {"not_before": CREATED},
    {"not_before": "2026-11-01T12:00:00Z"},
    {"not_before": "2026-11-01T14:00:00+02:00"},
    {"counter": 0},
    {"counter": 7},
    {"project": "people", "policy": POLICY.digest, "not_before": "2026-01-01", "counter": 6},
]
NOT_MET = [
    ({"project": "loans"}, "a release of project 'people', and 'loans' was required"),
    ({"policy": "0" * 64}, f"judged by policy {POLICY.digest}, and {'0' * 64} was required"),
    ({"not_before": "2026-11-02"}, "judged at 2026-11-01T12:00:00.00:00, and not before 2026-11-02 was required"),
    ({"not_before": "2026-11-01T12:00:01+00:00"}, "not before 2026-11-01T12:00:01"),
    ({"counter": 8}, "is release 7, and release 8 or later was required"),
]


@pytest.mark.parametrize("demands", MET)
def test_the_release_that_was_demanded_is_loaded(bundle, demands):
    load(bundle, PUBLIC, **demands)


@pytest.mark.parametrize(("demands", "message"), NOT_MET)
def test_an_older_release_or_another_projects_is_refused_with_what_it_is(bundle, demands, message):
    with pytest.raises(BundleError, match=message):
        load(bundle, PUBLIC, **demands)


def test_a_lax_policy_of_the_same_key_is_another_policy(tmp_path, key):
    lax = write_bundle(tmp_path / "lax", by=Policy(**{**POLICY.model_dump(), "max_eo_gap": 0.9}))
    sign_bundle(lax, load_signing_key(key))
    load(lax, PUBLIC)
    with pytest.raises(BundleError, match=r"was judged by policy"):
        load(lax, PUBLIC, policy=POLICY.digest)


def test_a_release_without_a_counter_meets_no_demand_for_one(tmp_path, key):
    bundle = write_bundle(tmp_path / "b")
    sign_bundle(bundle, load_signing_key(key))
    load(bundle, PUBLIC)
    with pytest.raises(BundleError, match="it has no counter, and release 0 or later was required"):
        load(bundle, PUBLIC, counter=0)


def test_what_was_signed_counts_and_not_what_somebody_wrote_since(bundle):
    """Without the key the manifest's word is taken: it shows mix-ups and no more."""
    list_files(bundle, counter=9, project="loans", created="2027-01-01")
    assert load(bundle, counter=9, project="loans", not_before="2027-01-01")
    with pytest.raises(BundleError, match=r"'manifest\.json' is not what was signed"):
        load(bundle, PUBLIC, counter=9)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"project": None}, "export it again"),
        ({"created": 7}, "export it again"),
        ({"created": "soon"}, "'soon' is not a date or moment"),
        ({"counter": "9"}, "its counter is '9'"),
        ({"counter": True}, "its counter is True"),
    ],
)
def test_a_manifest_that_does_not_say_which_release_it_is_is_none(tmp_path, said, message):
    bundle = write_bundle(tmp_path / "b")
    list_files(bundle, **said)
    with pytest.raises(BundleError, match=message):
        load(bundle)


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01", "2026-02-30", "9999-12-31T23:59:59-23:59", "7" * 999])
def test_a_moment_that_there_is_not_is_refused_before_anything_is_read(tmp_path, text):
    with pytest.raises(ValueError, match="is not a date or moment"):
        load(tmp_path / "absent", not_before=text)
    with pytest.raises(ValueError, match="is not a date or moment"):
        Demands(not_before=text)


def test_moments_without_a_zone_are_utc():
    assert moment("2026-11-01") == moment("2026-11-01T00:00:00Z") == moment("2026-11-01T02:00:00+02:00")


def run(*arguments):
    return CliRunner().invoke(main, [str(item) for item in arguments], catch_exceptions=False)


def test_inspect_makes_the_same_demands(bundle, tmp_path):
    (tmp_path / "edgefair.pub").write_bytes(PUBLIC)
    key = ("--public-key", tmp_path / "edgefair.pub")
    assert json.loads(run("inspect", bundle, *key, "--project", "people", "--counter", 7).stdout)["project"] == "people"
    assert run("inspect", bundle, "--project", "people", "--not-before", "2026-11-01").exit_code == 0
    for demands, message in (
        (("--project", "loans"), "'loans' was required"),
        (("--policy", "0" * 64), "was judged by policy"),
        (("--not-before", "2027-01-01"), "not before 2027-01-01 was required"),
        (("--not-before", "later"), "is not a date or moment"),
        (("--counter", "8"), "release 8 or later was required"),
    ):
        for flags in ((), key):
            done = run("inspect", bundle, *flags, *demands)
            assert (done.exit_code, done.stdout) == (2, ""), demands
            if "--counter" not in demands:
                assert message in done.stderr
    assert "it has no counter" in run("inspect", bundle, "--counter", "8").stderr


def test_a_bundle_that_was_exported_with_a_counter_is_signed_with_no_other(tmp_path, key):
    bundle = write_bundle(tmp_path / "b", counts=COUNTS)
    list_files(bundle, counter=3)
    with pytest.raises(UsageError, match="was exported as release 3, but --counter is 4"):
        sign_bundle(bundle, load_signing_key(key), counter=4)
    assert run("sign", bundle, "--key", key).exit_code == 0
    load(bundle, PUBLIC, counter=3)
    assert run("sign", bundle, "--key", key, "--counter", 3).exit_code == 0
    assert run("sign", bundle, "--key", key, "--counter", -1).exit_code == 2
