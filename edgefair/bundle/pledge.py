"""A policy that is signed before anything is measured by it, so that others can see that the bar was not moved.

A DSSE envelope around an in-toto statement whose subjects are the policy, the audit rows and the data section that
chose them, by their digests; its predicate holds the policy itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from edgefair._version import __version__
from edgefair.bundle.manifest import REPORT, Bundle
from edgefair.bundle.signing import envelope_of
from edgefair.errors import ModelError, PolicyError, UsageError
from edgefair.files import write_atomic
from edgefair.probe.bundles.attestation import (
    MOST_ATTESTATION,
    STATEMENT_TYPE,
    AttestationError,
    PublicKey,
    PublicKeyError,
    signed_statement,
)
from edgefair.probe.bundles.consistency import policy_digest
from edgefair.probe.bundles.demands import moment
from edgefair.probe.files import read_json
from edgefair.probe.regular import read_regular

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner

PREDICATE_TYPE = "urn:edgefair:policy:v1"
POLICY, ROWS, SECTION = "policy", "audit rows", "data section"


@dataclass(frozen=True)
class Pledge:
    """What shall judge, and on which rows.

    Attributes:
        project: its name.
        created: when it was pledged, ISO 8601.
        digests: sha256 of `policy`, `audit rows` and `data section`.
        policy: the policy, defaults written out.
    """

    project: str
    created: str
    digests: Mapping[str, str]
    policy: Mapping[str, Any]

    def to_statement(self) -> dict[str, Any]:
        """The in-toto statement, as JSON."""
        return {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(self.digests.items())],
            "predicateType": PREDICATE_TYPE,
            "predicate": {
                "project": self.project,
                "created": self.created,
                "policy": dict(self.policy),
                "edgefair": __version__,
            },
        }

    @classmethod
    def from_statement(cls, said: Mapping[str, Any]) -> Self:
        """Read back what `to_statement` wrote.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: not such an object, or a policy of another digest.
        """
        digests = {str(item["name"]): str(item["digest"]["sha256"]) for item in said["subject"]}
        predicate = said["predicate"]
        if set(digests) != {POLICY, ROWS, SECTION} or policy_digest(predicate["policy"]) != digests[POLICY]:
            raise ValueError("its digests are not those of what it holds")
        moment(str(predicate["created"]))
        return cls(str(predicate["project"]), str(predicate["created"]), digests, dict(predicate["policy"]))

    def check_report(self, report: Mapping[str, Any]) -> None:
        """Refuse a report that another policy judged, on other rows, or before the pledge.

        Args:
            report: as JSON.

        Raises:
            ModelError: what is not as it was pledged.
        """
        found = {
            POLICY: policy_digest(report["policy"]),
            ROWS: report["audit"]["fingerprint"],
            SECTION: report["data"]["sha256"],
        }
        for name, digest in found.items():
            if digest != self.digests[name]:
                raise ModelError(
                    f"its {name} is {digest}, and {self.digests[name]} was pledged on {self.created}",
                    expected="a verdict by the policy, and on the rows, that were signed before",
                )
        if moment(report["created"]) < moment(self.created):
            raise ModelError(
                f"it was judged on {report['created']}, before the policy was signed ({self.created})",
                expected="a policy that was signed before the verdict",
            )

    def check_plan(self, *, policy: str, rows: str, section: str) -> None:
        """Refuse what would judge otherwise, before it does.

        Args:
            policy, rows, section: sha256 of each, as they are now.

        Raises:
            PolicyError: what is not as it was pledged.
        """
        for name, digest in ((POLICY, policy), (ROWS, rows), (SECTION, section)):
            if digest != self.digests[name]:
                raise PolicyError(
                    f"the {name} changed since the policy was signed on {self.created}: sha256 {digest}",
                    expected=f"{self.digests[name]}",
                    fix="undo the change, or sign the policy again, which everybody can see",
                )


def write_pledge(path: Path, pledge: Pledge, signer: CryptoSigner) -> None:
    """Sign a pledge into a file."""
    write_atomic(path, json.dumps(envelope_of(pledge.to_statement(), signer), indent=1).encode())


def read_pledge(path: Path, public_key: PublicKey) -> Pledge:
    """The pledge of a file that the owner of a key signed.

    Raises:
        UsageError: no such file, or a key with which nothing can be checked.
        ModelError: not a pledge, a damaged one, or one that another key signed.
    """
    try:
        content = read_regular(path, most=MOST_ATTESTATION)
        return Pledge.from_statement(signed_statement(content, public_key, PREDICATE_TYPE, named=f"'{path}'"))
    except OSError as error:
        raise UsageError(f"the signed policy '{path}' cannot be read: {error.strerror}") from error
    except PublicKeyError as error:
        raise UsageError(str(error), expected="the public key in PEM, ed25519 or P-256") from error
    except (AttestationError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"'{path}' is not a policy that was signed with this key: {error}",
            expected="a file of `edgefair policy sign`, and the public key of who signed it",
        ) from error


def check_pledged(bundle: Bundle, path: Path, public_key: PublicKey) -> None:
    """Refuse a bundle whose verdict is not by what was signed before.

    Raises:
        UsageError, ModelError: see `read_pledge`, `Pledge.check_report`.
    """
    read_pledge(path, public_key).check_report(read_json((bundle.path / REPORT).read_bytes()))
