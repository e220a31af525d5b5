"""Games against an adversary, in `compress:`: of channels, and of single weights."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from edgefair.debias.adversarial import Target


class GameConfig(BaseModel):
    """A game against an adversary that guesses the group from the network's output."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    target: Target = Field(
        "equalized-odds",
        description="equalized-odds: the adversary knows the label; parity: it does not, and predictions must not "
        "depend on the group though labels do.",
    )
    weight: float = Field(
        1.0,
        ge=0,
        allow_inf_nan=False,
        description="What the adversary counts (lambda), rising over the first third; 0 is the control: the same steps "
        "without it.",
    )
    steps: int = Field(300, ge=1, description="Steps of both players.")
    batch_rows: int = Field(128, ge=2, description="Rows of a step.")
    score_rate: float = Field(0.02, gt=0, allow_inf_nan=False, description="Learning rate of the scores (Adam).")


class AdversaryConfig(GameConfig):
    """The game of the importances adversarial and adversarial-frozen."""

    learning_rate: float = Field(1e-3, gt=0, allow_inf_nan=False, description="Learning rate of the weights (Adam).")


class TicketConfig(GameConfig):
    """A sub-network of single weights in the network with random weights, which is never trained."""

    keep: float = Field(0.3, gt=0, lt=1, description="Share of every layer's weights that stays.")
    score_rate: float = Field(0.01, gt=0, allow_inf_nan=False, description="Learning rate of the scores (Adam).")
