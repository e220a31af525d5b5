"""Sign what a project's models will be judged by, before they are; and check that nothing of it has changed."""

from __future__ import annotations

from pathlib import Path

from edgefair.bundle.pledge import POLICY, ROWS, SECTION, Pledge, read_pledge, write_pledge
from edgefair.bundle.signing import load_signing_key
from edgefair.config import Config
from edgefair.data.dataset import load
from edgefair.files import sha256_json, shown_in
from edgefair.probe.bundles.attestation import PublicKey
from edgefair.progress import Progress, silent
from edgefair.workflow.clock import now


def pledge_policy(config: Config, to: str | Path, *, key: str | Path, progress: Progress = silent) -> Pledge:
    """Sign the digests of the policy, of the audit rows and of the section that chose them.

    Args:
        to: the file to write.
        key: PEM file of a private key.

    Raises:
        UsageError: a key that cannot sign.
        DataError, PolicyError: see the message; nothing was written.
    """
    signer = load_signing_key(Path(key))
    pledge = Pledge(config.project, now(), _digests(config, progress), config.policy.model_dump(mode="json"))
    write_pledge(Path(to), pledge, signer)
    return pledge


def check_pledge(config: Config, path: str | Path, *, public_key: PublicKey, progress: Progress = silent) -> Pledge:
    """The signed policy, if the project would be judged by it now, and on its rows.

    Raises:
        PolicyError: the policy, the rows or how they are chosen changed since.
        UsageError, ModelError: a file that cannot be read, or that was not signed with this key.
        DataError: see the message.
    """
    pledge = read_pledge(Path(path), public_key)
    found = _digests(config, progress)
    pledge.check_plan(policy=found[POLICY], rows=found[ROWS], section=found[SECTION])
    return pledge


def _digests(config: Config, progress: Progress) -> dict[str, str]:
    progress.stage("reading")
    data = load(config.data, base=config.base, roles=["audit"], optional=["train", "validation"])
    section = shown_in(config.data.model_dump(mode="json"), config.base)
    return {POLICY: config.policy.digest, ROWS: data.audit.fingerprint, SECTION: sha256_json(section)}
