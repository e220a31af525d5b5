"""The `data:` section of edgefair.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

# What a built-in set fills in where the user says nothing.
BUILT_IN: Mapping[str, Mapping[str, Any]] = {
    "census-income": {
        "label": "income",
        "positive": "50000+",
        "sensitive": ["sex", "race"],
        "exclude": ["instance_weight"],
        "categorical": [
            "detailed_industry_recode",
            "detailed_occupation_recode",
            "own_business_or_self_employed",
            "veterans_benefits",
            "year",
        ],
        "split": {"column": "split", "train": ["train"], "audit": ["test"]},
    }
}


class SplitConfig(BaseModel):
    """Which rows train and which rows decide."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: str | None = Field(None, description="Column that says to which split a row belongs.")
    train: tuple[str, ...] = Field(("train",), description="Its values for training rows.")
    validation: tuple[str, ...] = Field((), description="Its values for validation rows; else they come out of train.")
    audit: tuple[str, ...] = Field(("test",), description="Its values for audit rows.")
    audit_fraction: float = Field(0.3, gt=0, lt=1, description="Without a column: share of the rows that audits.")


class DataConfig(BaseModel):
    """Where the rows come from and what their columns mean."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str = Field(description="A built-in set (census-income) or the path of a .parquet, .csv or .npz file.")
    label: str = Field(description="Column that the model predicts.")
    positive: str | None = Field(None, description="Two classes: the label that is class 1.")
    classes: tuple[str, ...] | None = Field(None, description="The labels in the order of the model's classes.")
    sensitive: tuple[str, ...] = Field(min_length=1, description="Sensitive columns. Never features.")
    allow_sensitive_features: bool = Field(False, description="Let the model see the sensitive columns.")
    features: tuple[str, ...] | None = Field(None, description="Columns that the model sees; default: all others.")
    exclude: tuple[str, ...] = Field((), description="Columns that the model never sees (ids, survey weights).")
    categorical: tuple[str, ...] = Field((), description="Columns of numbers that are codes, not quantities.")
    id: str | None = Field(None, description="Column that identifies a row; an id in two splits is an error.")
    subject: str | None = Field(None, description="Column that identifies a person with several rows.")
    split: SplitConfig = Field(default_factory=SplitConfig, description="Which rows train and which decide.")
    validation: float = Field(0.1, gt=0, lt=1, description="Share of the training rows kept for validation.")

    @model_validator(mode="before")
    @classmethod
    def _fill_in_built_in(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("source") in BUILT_IN:
            return {**BUILT_IN[value["source"]], **value}
        return value

    @field_validator("sensitive", "features", "exclude", "categorical", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("positive", mode="before")
    @classmethod
    def _text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value

    @field_validator("classes", mode="before")
    @classmethod
    def _texts(cls, value: Any) -> Any:
        return [str(item) for item in value] if isinstance(value, list | tuple) else value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.label in self.sensitive:
            raise ValueError(f"'{self.label}' cannot be both the label and a sensitive column")
        if self.classes is not None and self.positive is not None:
            raise ValueError("give either `positive` (two classes) or `classes`, not both")
        if self.classes is not None and len(set(self.classes)) != len(self.classes):
            raise ValueError("a class is named twice in `classes`")
        if self.features is not None:
            if self.label in self.features:
                raise ValueError(f"the label '{self.label}' is among the features")
            seen = sorted(set(self.features) & set(self.sensitive))
            if seen and not self.allow_sensitive_features:
                raise ValueError(
                    f"sensitive column '{seen[0]}' is among the features (allow_sensitive_features: true permits it)"
                )
        return self
