"""The `data:` section of edgefair.yaml."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from edgefair.data.files.csv_table import CsvConfig
from edgefair.data.images.generated import GENERATED, Knobs
from edgefair.data.images.glyphs import GlyphConfig
from edgefair.data.images.peeps import PeepsConfig
from edgefair.data.layouts import LAYOUTS, Frames
from edgefair.data.presets import BUILT_IN, preset_of
from edgefair.data.purity.config import NoiseConfig, Purity, ThinConfig, checked_keep
from edgefair.data.written import as_list, merged_values, name_of, texts, value_lists
from edgefair.errors import did_you_mean

# What a missing number is: an error, or what that of the training rows stands in for, inside the exported graph.
MissingRule = Literal["refuse", "mean", "median"]

# What equal rows are: nobody has said, different people who share their answers, or copies of one.
EqualRowsRule = Literal["refuse", "people", "once"]


class SplitConfig(BaseModel):
    """Which rows train and which rows decide."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: str | None = Field(None, description="Column that holds the split of each row.")
    train: tuple[str, ...] = Field(("train",), description="Its values for training rows; [] for none.")
    validation: tuple[str, ...] = Field((), description="Its values for validation rows; else they come out of train.")
    audit: tuple[str, ...] = Field(("test",), description="Its values for audit rows.")
    unused: tuple[str, ...] = Field((), description="Its values for rows in no split; others are an error.")
    audit_fraction: float = Field(
        0.3, gt=0, le=1, description="Without a column: about this share of the rows audits; 1: every row, none trains."
    )
    seed: int = Field(0, ge=0, description="Seed of a drawn split, independent of a run's seed.")

    @field_validator("train", "validation", "audit", "unused", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return as_list(texts(value))

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        given = [*self.train, *self.validation, *self.audit, *self.unused]
        twice = [value for index, value in enumerate(given) if value in given[:index]]
        if twice:
            raise ValueError(f"'{twice[0]}' is listed for two splits: a row is for training or for audit, never both")
        if self.column is None and (self.train, self.validation, self.audit, self.unused) != (
            ("train",),
            (),
            ("test",),
            (),
        ):
            raise ValueError("values of a split column are listed, but `column` is not set")
        return self


class DataConfig(BaseModel):
    """Where the rows come from and what their columns mean."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str = Field(
        description="A built-in set (census-income, emoji-people, peeps, glyphs), the path of a .parquet, .csv or .npz "
        "file, or with `layout` the folder of the set."
    )
    audit: str | None = Field(
        None,
        description="Separate file of audit rows, with the columns of `source`, whose rows then all train and "
        "validate.",
    )
    csv: CsvConfig = Field(default_factory=CsvConfig, description="How a .csv file was written.")
    layout: str | None = Field(
        None, description="The published layout of the folder: celeba, fairface, utkface, raf-db or ck+."
    )
    frames: Frames | None = Field(None, description="For the layout ck+: which frames of a sequence are rows.")
    picture: str | None = Field(
        None, description="Column of pictures: their paths below `folder`, or (in Parquet) the encoded bytes."
    )
    folder: str | None = Field(None, description="Folder of the pictures; default: the folder of the table.")
    text: str | None = Field(None, description="Column of texts; the model sees nothing else.")
    tokenizer: str | None = Field(None, description="Folder of the tokenizer.json for the texts.")
    peeps: PeepsConfig | None = Field(None, description="Options of the set of drawn people `peeps`.")
    glyphs: GlyphConfig | None = Field(None, description="Options of the synthetic set `glyphs`.")
    where: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="Column -> values: only such rows are used, for training and for audits."
    )
    merge: dict[str, dict[str, tuple[str, ...]]] = Field(
        default_factory=dict, description="Column -> new value -> the values that it stands for."
    )
    thin: tuple[ThinConfig, ...] = Field(
        (), description="Degrades training data on purpose, for studies. Audit rows are unaffected."
    )
    keep: int | float | None = Field(
        None,
        description="Training rows to keep, for studies: a number, or a share below 1; in proportion by group and "
        "label, and more of them hold all of fewer. Validation and audit rows are unaffected.",
    )
    noise: tuple[NoiseConfig, ...] = Field(
        (),
        description="Flips labels of training and validation rows on purpose, for studies: of more noise, the same "
        "rows and others. Several entries act as independent causes. Audit rows are unaffected.",
    )
    drop: str | None = Field(
        None,
        description="CSV file of `edgefair data clean -o`: training rows that it names, whose labels look wrong, are "
        "left out.",
    )
    purity_seed: int | None = Field(
        None, ge=0, description="Seed of the draws of `noise`, `keep` and `thin`; default: that of the split."
    )
    max_skipped: float = Field(
        0.01, ge=0, lt=1, description="Largest share of rows, overall and in any group, that may be unreadable."
    )
    label: str = Field(description="Column that the model predicts.")
    positive: str | None = Field(None, description="Two classes: the label that is class 1.")
    classes: tuple[str, ...] | None = Field(None, description="The labels in the order of the model's classes.")
    sensitive: tuple[str, ...] = Field(min_length=1, description="Sensitive columns. Never features.")
    allow_sensitive_features: bool = Field(False, description="Let the model see the sensitive columns.")
    features: tuple[str, ...] | None = Field(None, description="Columns that the model sees; default: all others.")
    exclude: tuple[str, ...] = Field((), description="Columns that the model never sees (ids, survey weights).")
    categorical: tuple[str, ...] = Field((), description="Columns of numbers that are codes, not quantities.")
    missing: MissingRule = Field(
        "refuse",
        description="What a missing number of a feature is: an error (`refuse`), or the `mean` or `median` of the "
        "column's training rows is imputed, inside the exported file. A missing category is a category of its "
        "own if training rows have it.",
    )
    id: str | None = Field(None, description="Column that identifies a row; an id of two rows is an error.")
    subject: str | None = Field(None, description="Column that identifies a person with several rows.")
    equal_rows: EqualRowsRule = Field(
        "refuse",
        description="How to treat audit rows that repeat another one in every feature, label and group: `people` "
        "(different people who share their answers), `once` (copies: one of each is judged), or `refuse` (an error "
        "where they are more than 5 % of a group and label).",
    )
    label_design: str | None = Field(
        None,
        description="The file of `edgefair plan --label-budget` that chose which audit rows to label; the others may "
        "have an empty label.",
    )
    split: SplitConfig = Field(default_factory=SplitConfig, description="Which rows train and which decide.")
    validation: float = Field(
        0.1, gt=0, lt=1, description="About this share of the training rows is held out for validation."
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_in_built_in(cls, value: Any) -> Any:
        if not isinstance(value, dict) or not isinstance(value.get("source"), str):
            return value
        preset = preset_of(value)
        if preset is None:
            return value
        filled = {**preset, **value}
        if "positive" not in value and (value.get("classes") is not None or filled["label"] != preset.get("label")):
            filled.pop("positive", None)
        # A shorter list of the user's must not turn a survey weight or a sensitive attribute into a feature.
        if "exclude" not in preset:
            return filled
        hidden = [*preset["exclude"]]
        if value.get("allow_sensitive_features") is not True:
            hidden += [name for name in preset["sensitive"] if name not in (as_list(filled["sensitive"]) or ())]
        exclude = as_list(filled["exclude"])
        if isinstance(exclude, list | tuple):
            filled["exclude"] = tuple(dict.fromkeys([*exclude, *hidden]))
        return filled

    @property
    def knobs(self) -> Knobs | None:
        """The options of a set that is drawn; None for one that is read."""
        if self.source not in GENERATED or self.layout is not None:
            return None
        given: Knobs | None = getattr(self, self.source)
        return GENERATED[self.source].knobs() if given is None else given

    @property
    def purity(self) -> Purity:
        """What is done to training data on purpose."""
        seed = self.split.seed if self.purity_seed is None else self.purity_seed
        return Purity(self.noise, self.keep, self.thin, seed)

    _checked_keep = field_validator("keep")(checked_keep)

    @field_validator("where", mode="before")
    @classmethod
    def _values_are_lists(cls, value: Any) -> Any:
        return value_lists(value)

    @field_validator("merge", mode="before")
    @classmethod
    def _merged_are_lists(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {name_of(name): merged_values(groups) for name, groups in value.items()}

    @field_validator("sensitive", "features", "exclude", "categorical", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return as_list(value)

    @field_validator("positive", "classes", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        return texts(value)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.label in self.sensitive:
            raise ValueError(f"'{self.label}' cannot be both the label and a sensitive column")
        if self.classes is not None and self.positive is not None:
            raise ValueError("give either `positive` (two classes) or `classes`, not both")
        if self.classes is not None and len(set(self.classes)) != len(self.classes):
            raise ValueError("a class is listed twice in `classes`")
        self._check_kind()
        self._check_audit()
        self._check_design()
        if self.features is not None:
            if self.label in self.features:
                raise ValueError(f"the label '{self.label}' is among the features")
            seen = sorted(set(self.features) & set(self.sensitive))
            if seen and not self.allow_sensitive_features:
                raise ValueError(
                    f"sensitive column '{seen[0]}' is among the features (allow_sensitive_features: true permits it)"
                )
        return self

    def _check_audit(self) -> None:
        if self.audit is None:
            return
        if self.source in BUILT_IN or self.layout is not None or self.picture is not None:
            raise ValueError("`audit` is a second table beside a table of numbers or texts; else split by a column")
        if self.split.model_fields_set - {"seed"}:
            raise ValueError("`audit` names the file of the audit rows, and `split` says that rows of `source` audit")

    def _check_design(self) -> None:
        if self.label_design is None:
            return
        if self.subject is not None:
            raise ValueError(
                "`label_design` chose rows as independent people, and `subject` says that several are of one person: "
                "keep one row of every person, or label all rows"
            )
        if self.id is None:
            raise ValueError("`label_design` needs `id`, the column that brings labels back to their rows")
        if self.equal_rows == "once":
            raise ValueError(
                "`label_design` counts the rows of every stratum, and `equal_rows: once` drops copies of which labels "
                "decide: remove the copies from the file"
            )

    def _check_kind(self) -> None:
        if self.picture is not None and self.text is not None:
            raise ValueError("the model sees either pictures or texts, not both: `picture` and `text` are set")
        if (self.picture or self.text) and self.features is not None:
            raise ValueError("a model of pictures or texts sees no other features: omit `features`")
        if (self.text is None) != (self.tokenizer is None):
            raise ValueError("`text` and `tokenizer` belong together: one is set and the other is not")
        if self.folder is not None and self.picture is None:
            raise ValueError("`folder` says where pictures are, and `picture`, the column of their paths, is not set")
        for name in GENERATED:
            if getattr(self, name) is not None and self.source != name:
                raise ValueError(f"`{name}` sets the options of the source {name}, and the source is '{self.source}'")
        if self.layout is not None and self.layout not in LAYOUTS:
            raise ValueError(
                f"unknown layout '{self.layout}'{did_you_mean(self.layout, LAYOUTS)}; one of {', '.join(LAYOUTS)}"
            )
        if self.frames is not None and (self.layout is None or not LAYOUTS[self.layout].sequences):
            raise ValueError("`frames` chooses those of the sequences of a layout that has some: ck+")
