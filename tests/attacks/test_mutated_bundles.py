"""Signed bundles, damaged at random: none is accepted with other bytes than were signed, none hangs."""

import contextlib
import json
import os
import shutil
import signal

import numpy as np
import pytest

from edgefair.bundle.signing import load_signing_key, sign_bundle
from edgefair.probe.bundles.attestation import SIGNATURES
from edgefair.probe.bundles.runtime import BundleError, load
from tests.bundle.small_bundle import RAW, private_key, public_pem, write_bundle, write_key, write_manifest

PUBLIC = public_pem(private_key())
SEED = 20261126
LONGEST_S = 5
ATTESTATION, MANIFEST = "attestation.dsse.json", "manifest.json"
ODD = [None, True, -1, 1e400, "", "../x", [], {}, "PASS", 7, [[[]]], {"sha256": "0"}]


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def some_file(folder, rng):
    return folder / rng.choice(names(folder))


def flip_bits(folder, rng):
    path = some_file(folder, rng)
    content = bytearray(path.read_bytes())
    for _ in range(rng.integers(1, 4)):
        content[rng.integers(len(content))] ^= 1 << rng.integers(8)
    path.write_bytes(content)


def cut_off(folder, rng):
    path = some_file(folder, rng)
    path.write_bytes(path.read_bytes()[: rng.integers(path.stat().st_size)])


def lengthen(folder, rng):
    path = some_file(folder, rng)
    path.write_bytes(path.read_bytes() + rng.bytes(rng.integers(1, 40)))


def cut_out(folder, rng):
    path = some_file(folder, rng)
    content = path.read_bytes()
    start, stop = sorted(rng.integers(0, len(content) + 1, 2))
    path.write_bytes(content[:start] + content[stop:])


def swap_files(folder, rng):
    one, other = rng.choice(names(folder), 2, replace=False)
    first, second = (folder / one).read_bytes(), (folder / other).read_bytes()
    (folder / one).write_bytes(second)
    (folder / other).write_bytes(first)


def from_another_bundle(folder, rng):
    """A file of a bundle that the same key signed as well."""
    name = rng.choice(names(folder))
    shutil.copy(folder.parent / "other" / name, folder / name)


def remove(folder, rng):
    some_file(folder, rng).unlink()


def add(folder, rng):
    (folder / f"extra{rng.integers(9)}").write_bytes(rng.bytes(8))


def replace_by_an_odd_one(folder, rng):
    path = some_file(folder, rng)
    path.unlink()
    kind = rng.integers(4)
    if kind == 0:
        os.mkfifo(path)
    elif kind == 1:
        path.symlink_to("/dev/zero")
    elif kind == 2:
        path.symlink_to(folder.parent / "other" / path.relative_to(folder))
    else:
        path.mkdir()


def change_a_field(folder, rng):
    path = folder / rng.choice([name for name in names(folder) if name.endswith(".json")])
    data = json.loads(path.read_text())
    at = data
    while True:
        keys = list(at) if isinstance(at, dict) else range(len(at))
        key = keys[rng.integers(len(keys))]
        if not isinstance(at[key], dict | list) or not at[key] or rng.random() < 0.2:
            break
        at = at[key]
    at[key] = ODD[rng.integers(len(ODD))]
    path.write_text(json.dumps(data))


def change_and_list_again(folder, rng):
    """As whoever can write the manifest would, too."""
    for change in rng.choice([flip_bits, change_a_field, swap_files, remove], 1):
        with contextlib.suppress(ValueError, FileNotFoundError):
            change(folder, rng)
    write_manifest(folder)


MUTATIONS = [
    flip_bits, cut_off, lengthen, cut_out, swap_files, from_another_bundle, remove, add, replace_by_an_odd_one,
    change_a_field, change_and_list_again,
]  # fmt: skip


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    monkeypatch.delenv("EDGEFAIR_SIGNING_PASSPHRASE", raising=False)
    key = load_signing_key(write_key(tmp_path / "edgefair.key"))
    sign_bundle(write_bundle(tmp_path / "other", weights=((-2.0, 1.0), (0.5, -0.5))), key, counter=1)
    sign_bundle(write_bundle(tmp_path / "bundle"), key, counter=2)
    return tmp_path / "bundle"


def content_of(folder):
    return {name: (folder / name).read_bytes() for name in names(folder)}


def outcome(folder):
    """What the loader does: the model, or None where it refuses."""

    def late(*_):
        raise TimeoutError(f"more than {LONGEST_S} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(LONGEST_S)
    try:
        return load(folder, PUBLIC)
    except BundleError:
        return None
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def played(bundle, count):
    """How many of so many mutated bundles were accepted; each of them as it was signed."""
    signed = content_of(bundle)
    other = content_of(bundle.parent / "other")
    needed = {name for name in signed if not name.startswith("reference/")} - set(SIGNATURES)
    work, accepted = bundle.parent / "work", 0
    for number in range(count):
        rng = np.random.default_rng([SEED, number])
        shutil.copytree(bundle, work)
        change = MUTATIONS[number % len(MUTATIONS)]
        change(work, rng)
        model = outcome(work)
        if model is not None:
            accepted += 1
            found = content_of(work)
            kept = {name: found[name] for name in needed}
            assert kept in [{name: one[name] for name in needed} for one in (signed, other)], (number, change.__name__)
            assert set(found) <= set(signed), (number, change.__name__)
            assert model.predict(RAW).decision == ["no", "yes"], (number, change.__name__)
        shutil.rmtree(work)
    return accepted


def test_no_mutated_bundle_is_accepted_with_other_bytes_than_were_signed(bundle):
    assert outcome(bundle) is not None
    assert played(bundle, 66) < 10


@pytest.mark.long
def test_none_of_a_thousand_mutated_bundles_is_accepted_with_other_bytes_than_were_signed(bundle):
    assert played(bundle, 1000) < 100
