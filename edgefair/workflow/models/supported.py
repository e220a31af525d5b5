"""Can every target compute a model? Asked before anything is compressed or measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from edgefair.errors import ModelError
from edgefair.targets import TargetProfile
from edgefair.targets.support import ANYTHING, Support

# Nodes that a message names at most.
NAMED = 5


def check_supported(profiles: Sequence[TargetProfile], files: Mapping[Path | None, Path | None]) -> None:
    """Refuse a model of which a target is known not to compute a node, or to compute it wrongly.

    A graph is read only where something is known of a target.

    Args:
        files: ONNX files -> how their owner knows them, where otherwise.

    Raises:
        ModelError: the nodes, and why.
    """
    for profile in profiles:
        support = profile.host_runtime.support(profile.provider_names)
        for path, known_as in files.items() if support != ANYTHING else ():
            if path is not None:
                _check(profile, support, path, str(known_as or path))


def _check(profile: TargetProfile, support: Support, path: Path, name: str) -> None:
    import onnx
    from google.protobuf.message import DecodeError

    from edgefair.graphs.unsupported import unsupported

    try:
        model = onnx.load_model(path, load_external_data=False)
    except (DecodeError, OSError, ValueError):
        # Whoever loads it says what is wrong with it.
        return
    found = unsupported(model, support)
    if found:
        more = f"; and {len(found) - NAMED} more" if len(found) > NAMED else ""
        raise ModelError(
            f"{profile.kernels.vendor}, which runs the model on target '{profile.name}', cannot compute '{name}': "
            f"{'; '.join(map(str, found[:NAMED]))}{more}",
            expected="operators, types and sizes that it takes",
            fix=f"export it again with --target {profile.name}; what that does not cure, write with other operators, "
            "or choose a target that has them",
        )
