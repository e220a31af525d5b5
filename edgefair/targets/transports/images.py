"""Which image a container's name stands for, and which engine of this machine has it. Nothing is ever pulled."""

from __future__ import annotations

import json
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from edgefair.errors import MeasurementError

# No option of the engine's.
IMAGE = r"^[A-Za-z0-9][A-Za-z0-9._/:@-]*$"
# As container engines name the kinds of processors.
ARCHITECTURES: Mapping[str, str] = {"x86_64": "amd64", "aarch64": "arm64"}
ENGINES = ("docker", "podman")
# How long an engine may take for an answer that it has at hand.
ANSWER_S = 60.0
ABSENT = re.compile(r"no such image|no such object|image not known", re.IGNORECASE)
NEEDS = "an image for Linux with Python 3.9 or newer, numpy and onnxruntime"


class ContainerSettings(BaseModel):
    """The image that a local container engine runs the probe in. It needs Python 3.9+ with numpy and onnxruntime."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    image: str = Field(pattern=IMAGE, description="Its name, with a tag or a digest, as the engine knows it.")
    engine: Literal["docker", "podman"] | None = Field(None, description="Default: the one that has the image.")
    id: str | None = Field(
        None, pattern="^sha256:[0-9a-f]{64}$", description="The engine's digest of the image, if it must be that one."
    )
    architecture: str | None = Field(
        None, description="What the image must be made for, as engines name it (amd64, arm64), if it matters."
    )
    python: str = Field("python3", pattern="^[^-]", description="The Python in it that runs the probe.")
    cpus: float | None = Field(None, gt=0, allow_inf_nan=False, description="Number of CPUs that it may use.")
    memory: str | None = Field(
        None, pattern="^[1-9][0-9]*[kmg]$", description="Memory that it may use, model file included: 512m."
    )

    @property
    def foreign(self) -> bool:
        """Whether the image is known to be made for another kind of processor than this machine's."""
        here = ARCHITECTURES.get(platform.machine(), platform.machine())
        return self.architecture not in {None, here}

    @property
    def identity(self) -> dict[str, Any]:
        """What a verdict is bound to, as the fingerprint holds it."""
        return self.model_dump(exclude={"python"}, exclude_none=True)


@dataclass(frozen=True)
class Refusal:
    """What an engine said in place of an answer.

    Attributes:
        absent: it is well, and has no such image.
    """

    engine: str
    said: str
    absent: bool


def identified(name: str, wanted: ContainerSettings) -> ContainerSettings:
    """The settings of a container with its engine and with the image's id and architecture.

    Args:
        name: of the target, for messages.

    Raises:
        MeasurementError: no engine is there, none has the image, or it is not the one that the profile wants.
    """
    found = _found(name, wanted)
    for key in ("id", "architecture"):
        here, there = getattr(found, key), getattr(wanted, key)
        if there not in {None, here}:
            raise MeasurementError(
                f"target '{name}': the {key} of image '{wanted.image}' is {here}", expected=str(there),
                fix="pull or build that image, or change the profile",
            )  # fmt: skip
    return found


def _found(name: str, wanted: ContainerSettings) -> ContainerSettings:
    """The settings with what the first engine that has the image says of it."""
    engines = ENGINES if wanted.engine is None else (wanted.engine,)
    installed = [engine for engine in engines if shutil.which(engine) is not None]
    if not installed:
        raise MeasurementError(
            f"target '{name}': {' and '.join(engines)} {'are' if len(engines) > 1 else 'is'} not installed",
            expected="a container engine on the PATH", fix=f"install {' or '.join(engines)}",
        )  # fmt: skip
    refusals = []
    for engine in installed:
        answer = _inspected(engine, wanted.image)
        if isinstance(answer, str):
            return wanted.model_copy(update={"engine": engine, **_described(answer, name, wanted.image)})
        refusals.append(answer)
    raise _refused(name, wanted.image, refusals)


def _inspected(engine: str, image: str) -> str | Refusal:
    try:
        done = subprocess.run(
            [engine, "image", "inspect", image],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=ANSWER_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return Refusal(engine, str(error), absent=False)
    if done.returncode == 0:
        return done.stdout
    said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    return Refusal(engine, said, absent=ABSENT.search(done.stderr) is not None)


def _described(answer: str, name: str, image: str) -> dict[str, str]:
    """Id and architecture of an image from the engine's description."""
    try:
        (item,) = json.loads(answer)
        id_, architecture, system = str(item["Id"]), str(item["Architecture"]), str(item["Os"])
    except (ValueError, KeyError, TypeError) as error:
        raise MeasurementError(f"target '{name}': image '{image}' has an invalid description: {error!r}") from error
    if system != "linux":
        raise MeasurementError(f"target '{name}': image '{image}' is for {system}", expected=NEEDS)
    return {"id": "sha256:" + id_.removeprefix("sha256:"), "architecture": architecture}


def _refused(name: str, image: str, refusals: list[Refusal]) -> MeasurementError:
    found = "; ".join(
        f"{item.engine} has no image '{image}'" if item.absent else f"{item.engine} cannot be used: {item.said}"
        for item in refusals
    )
    well = [item.engine for item in refusals if item.absent]
    fix = (
        f"run `{well[0]} pull {image}`: images are never pulled during a measurement"
        if well
        else "start its service, and give this user access to it"
    )
    return MeasurementError(f"target '{name}': {found}", expected=NEEDS if well else None, fix=fix)
