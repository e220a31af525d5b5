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


def _text(value: Any) -> Any:
    """A number or a boolean of YAML as the text that the column is read as."""
    return str(value) if isinstance(value, bool | int | float) else value


def _texts(value: Any) -> Any:
    """One value or several -> the texts."""
    return tuple(_text(item) for item in value) if isinstance(value, list | tuple) else _text(value)


def _as_list(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class SplitConfig(BaseModel):
    """Which rows train and which rows decide."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: str | None = Field(None, description="Column that says to which split a row belongs.")
    train: tuple[str, ...] = Field(("train",), description="Its values for training rows.")
    validation: tuple[str, ...] = Field((), description="Its values for validation rows; else they come out of train.")
    audit: tuple[str, ...] = Field(("test",), description="Its values for audit rows.")
    unused: tuple[str, ...] = Field((), description="Its values for rows that no split takes; others are an error.")
    audit_fraction: float = Field(0.3, gt=0, lt=1, description="Without a column: share of the rows that audits.")
    seed: int = Field(0, ge=0, description="Draws the rows of a split that no column names, whatever seed a run has.")

    @field_validator("train", "validation", "audit", "unused", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return _as_list(_texts(value))

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        given = [*self.train, *self.validation, *self.audit, *self.unused]
        twice = [value for index, value in enumerate(given) if value in given[:index]]
        if twice:
            raise ValueError(f"'{twice[0]}' is listed for two splits: a row trains or decides, never both")
        if self.column is None and (self.train, self.validation, self.audit, self.unused) != (
            ("train",),
            (),
            ("test",),
            (),
        ):
            raise ValueError("values of a split column are listed, and `column` does not say which column it is")
        return self


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
        if not isinstance(value, dict) or not isinstance(value.get("source"), str):
            return value
        preset = BUILT_IN.get(value["source"])
        if preset is None:
            return value
        filled = {**preset, **value}
        if "positive" not in value and (value.get("classes") is not None or filled["label"] != preset["label"]):
            del filled["positive"]
        # A shorter list of the user's must not turn a survey weight or a sensitive attribute into a feature.
        hidden = [*preset["exclude"]]
        if value.get("allow_sensitive_features") is not True:
            hidden += [name for name in preset["sensitive"] if name not in (_as_list(filled["sensitive"]) or ())]
        exclude = _as_list(filled["exclude"])
        if isinstance(exclude, list | tuple):
            filled["exclude"] = tuple(dict.fromkeys([*exclude, *hidden]))
        return filled

    @field_validator("sensitive", "features", "exclude", "categorical", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return _as_list(value)

    @field_validator("positive", "classes", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        return _texts(value)

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
