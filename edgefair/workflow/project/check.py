"""What can be checked of a file without data, model or device."""

from __future__ import annotations

from pathlib import Path

from edgefair.bundle.attestation import open_release
from edgefair.config import load_config
from edgefair.errors import UsageError
from edgefair.probe.bundles.attestation import MANIFEST, PublicKey
from edgefair.probe.bundles.demands import Demands


def check_file(path: Path, public_key: PublicKey | None = None) -> None:
    """Read a config, or a bundle with all its files.

    Args:
        path: a .yaml file, a bundle, or its manifest.json.
        public_key: who must have signed a bundle; None takes unsigned ones.

    Raises:
        UsageError: no such file, or of another kind; a config with a mistake.
        PolicyError: a policy that contradicts itself.
        ModelError: a bundle with other files than its manifest lists, or without that signature.
    """
    if path.suffix in {".yaml", ".yml"}:
        load_config(path)
    elif path.name == MANIFEST or path.is_dir():
        open_release(path.parent if path.name == MANIFEST else path, public_key, Demands())
    else:
        raise UsageError(f"'{path}' cannot be checked", expected="edgefair.yaml, or a bundle")
