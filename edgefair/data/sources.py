"""From the `data:` section to one table: columns read, rows chosen, pictures and texts attached."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgefair.data.config import DataConfig
from edgefair.data.files.blobs import Blobs, FileBlobs
from edgefair.data.files.readers import READERS, read_blobs, read_table
from edgefair.data.files.skipped import Skipped
from edgefair.data.files.table import Categories, Table
from edgefair.data.files.two_files import read_both
from edgefair.data.images.generated import GENERATED
from edgefair.data.images.pictures import check_paths, count_skipped, not_in_table, stored_pictures
from edgefair.data.layouts import LAYOUTS, read_layout
from edgefair.data.presets import BUILT_IN
from edgefair.data.texts import Texts, open_tokenizer
from edgefair.data.values import as_categories, declared, merged, rows_where
from edgefair.errors import DataError, did_you_mean
from edgefair.probe.dates import is_unclear_date

BUILT_IN_FILES = {"census-income": "census_income_kdd.parquet", "emoji-people": "emoji_people.parquet"}


@dataclass(frozen=True, eq=False)
class Source:
    """What a source holds before it is split.

    Attributes:
        subject: the column of the person: the declared one, or the layout's own.
        skipped: rows and files that were left out.
        elsewhere: rows that `data.where` left out.
        audited: which rows the file of `data.audit` holds, bool [rows]; None without one.
    """

    table: Table
    subject: str | None
    skipped: tuple[Skipped, ...]
    elsewhere: int = 0
    audited: NDArray[np.bool_] | None = None


class MissingColumnError(DataError):
    """A column that is asked for and not there."""


def open_source(config: DataConfig, base: Path, categories: Collection[str] = ()) -> Source:
    """Read the columns that the config needs.

    Args:
        base: folder that relative paths start from.
        categories: columns that are read as those of `data.categorical` are.

    Raises:
        DataError: a source, column, path or picture that is not as the config says, or too many unreadable rows.
    """
    if config.layout is not None:
        folder = base / config.source
        layout = read_layout(config.layout, folder, config.frames)
        names, table, skipped = [*layout.table.columns], layout.table, layout.skipped
        _check_names(config, names, folder)
        own = LAYOUTS[config.layout].subject
        subject = config.subject or (own if own in names else None)
        source = _picture_rows(config, table, subject, FileBlobs(folder, _paths(config, table)), skipped)
    elif config.knobs is not None:
        table = GENERATED[config.source].table(config.knobs)
        _check_names(config, [*table.columns], Path(config.source))
        source = _plain_rows(config, table, table.rows)
    else:
        source = _from_file(config, base, categories)
    if not source.table.rows:
        raise DataError("no rows are left", expected="rows that data.where keeps and that can be read")
    _check_dates(source.table)
    return source


def _check_dates(table: Table) -> None:
    """Refuse text cells that are dates in whichever of two ways they are read."""
    for name, column in table.columns.items():
        # Counting which values have a row takes long: only where one of them is unclear.
        if not (isinstance(column, Categories) and any(map(is_unclear_date, column.values))):
            continue
        for value in filter(is_unclear_date, column.present):
            raise DataError(
                f"column '{name}' holds the date '{value}', and the order of day and month is ambiguous",
                expected="dates with the year first, as 2024-01-31 (31.01.2024 is read too)",
                fix="write them this way, or exclude the column; for a CSV file set data.csv.dates (init: --dates)",
            )


def _from_file(config: DataConfig, base: Path, categories: Collection[str]) -> Source:
    path = _path(config.source, base)
    inside = None if config.picture is None else read_blobs(path, config.picture)
    texts = text_columns(config, categories)

    def choose(names: list[str]) -> set[str]:
        return _columns(config, names, path) - ({config.picture} if inside else set())

    if config.audit is not None:
        table, training = read_both(path, base / config.audit, choose, texts=texts, csv=config.csv)
    else:
        table = read_table(path, choose, texts=texts, csv=config.csv)
        training = table.rows
    if config.picture is None:
        source = _plain_rows(config, table, training)
        return source if config.text is None else replace(source, table=_with_texts(config, source.table, base))
    if inside is not None:
        table = Table({**table.columns, config.picture: np.arange(len(inside))})
        return _picture_rows(config, table, config.subject, inside, ())
    paths = _paths(config, table)
    check_paths(paths, column=config.picture)
    folder = path.parent if config.folder is None else base / config.folder
    if not folder.is_dir():
        raise DataError(f"no folder '{folder}'", expected="the folder that data.picture's paths start from")
    table = Table({**table.columns, config.picture: np.arange(len(paths))})
    return _picture_rows(config, table, config.subject, FileBlobs(folder, paths), not_in_table(folder, paths))


def _path(source: str, base: Path) -> Path:
    if source in BUILT_IN_FILES:
        return _built_in(source)
    if Path(source).suffix.lower() not in READERS and not (base / source).exists():
        raise DataError(
            f"unknown data source '{source}'{did_you_mean(source, BUILT_IN)}",
            expected=f"a built-in set ({', '.join(BUILT_IN)}), the path of a {', '.join(READERS)} file, or a folder "
            "with data.layout",
        )
    return base / source


def _built_in(source: str) -> Path:
    """The file of a built-in set: in this package, or in one of its own.

    Raises:
        DataError: it is in neither.
    """
    name = BUILT_IN_FILES[source]
    own = f"edgefair-{source}"
    spec = find_spec(own.replace("-", "_"))
    folders = [Path(__file__).parent / "sets", *(() if spec is None else spec.submodule_search_locations or ())]
    found = next((path for folder in folders if (path := Path(folder) / name).is_file()), None)
    if found is None:
        raise DataError(
            f"the built-in set '{source}' is not installed",
            expected=f"the package {own}, which is not part of edgefair's wheel for its size",
            fix=f"pip install ./packages/{source}, in a checkout of edgefair",
        )
    return found


def named_columns(config: DataConfig) -> list[str]:
    """Every column that the config names as something."""
    optional = (config.id, config.subject, config.split.column, config.picture, config.text)
    chosen = [*config.where, *config.merge, *config.purity.columns]
    names = [config.label, *config.sensitive, *(config.features or ()), *chosen, *(name for name in optional if name)]
    return [*dict.fromkeys(names)]


def text_columns(config: DataConfig, categories: Collection[str]) -> set[str]:
    """The columns that are read as the text in the file, whatever it looks like: codes, and all of which values are
    named or compared and that are no features. Other columns that hold nothing but numbers are numbers."""
    optional = (config.id, config.subject, config.split.column, config.picture, config.text)
    chosen = [*config.where, *config.purity.columns]
    if config.features is None and config.picture is None and config.text is None:
        chosen = [name for name in chosen if name in config.exclude]
    always = {config.label, *config.sensitive, *(name for name in optional if name), *chosen}
    return {*categories, *config.categorical, *config.merge, *(always - set(config.features or ()))}


def _check_names(config: DataConfig, names: list[str], path: Path) -> None:
    for name in [*named_columns(config), *config.exclude, *config.categorical]:
        if name not in names:
            raise MissingColumnError(
                f"'{path.name}' has no column '{name}'{did_you_mean(name, names)}",
                expected=f"one of {', '.join(names[:60])}",
            )


def _columns(config: DataConfig, names: list[str], path: Path) -> set[str]:
    """The columns to read: those that the config names, and all others where the model may see them."""
    _check_names(config, names, path)
    wanted = set(named_columns(config))
    if config.features is not None or config.picture is not None or config.text is not None:
        return wanted
    return wanted | (set(names) - set(config.exclude))


def _chosen(config: DataConfig, table: Table) -> tuple[Table, NDArray[np.int64] | None]:
    """The table with merged values and only the rows of `where`, and their positions; None where these are all."""
    columns = dict(table.columns)
    for name, groups in config.merge.items():
        columns[name] = merged(name, as_categories(columns[name], name), groups)
    table = Table(columns)
    if not config.where:
        return table, None
    kept = np.flatnonzero(rows_where(table, config.where))
    return table.take(kept), kept


def _paths(config: DataConfig, table: Table) -> list[str]:
    column = table.columns[config.picture or ""]
    if not isinstance(column, Categories):
        raise DataError(
            f"column '{config.picture}' holds numbers", expected="paths of pictures, or in Parquet their bytes"
        )
    return [text or "" for text in column.text()]


def _plain_rows(config: DataConfig, table: Table, training: int) -> Source:
    """The chosen rows of a table without pictures, of which so many are before those of the audit file."""
    chosen, kept = _chosen(config, table)
    audited = None if config.audit is None else (np.arange(table.rows) if kept is None else kept) >= training
    return Source(chosen, config.subject, (), table.rows - chosen.rows, audited)


def _picture_rows(
    config: DataConfig, whole: Table, subject: str | None, blobs: Blobs, skipped: tuple[Skipped, ...]
) -> Source:
    """The chosen rows of a table with their pictures, without those whose picture cannot be read."""
    name = config.picture or ""
    table, _ = _chosen(config, whole)
    elsewhere = whole.rows - table.rows
    numbers = table.columns[name]
    rows = np.asarray(numbers.codes if isinstance(numbers, Categories) else numbers, dtype=np.int64)
    pictures, reasons = stored_pictures(blobs, rows)
    table = Table({**table.columns, name: pictures})
    skipped = (*skipped, *count_skipped(reasons, lambda row: blobs.name(int(rows[row]))))
    bad = np.array([reason is not None for reason in reasons])
    _check_share(config, table, bad, skipped)
    return Source(table.take(np.flatnonzero(~bad)), subject, skipped, elsewhere)


def _check_share(config: DataConfig, table: Table, bad: NDArray[np.bool_], skipped: tuple[Skipped, ...]) -> None:
    """Refuse data of which too much, or too much of one group, is unreadable."""
    why = "; ".join(str(item) for item in skipped if item.were_rows)
    lost = sum(item.count for item in skipped if item.were_rows)
    total = len(bad) - int(bad.sum()) + lost
    shares = {"all rows": (lost, total)}
    for name in config.sensitive:
        column = declared(table.columns[name], name)
        for code, value in enumerate(column.values):
            mine = column.codes == code
            shares[f"the rows with {name} = {value}"] = (int(bad[mine].sum()), int(mine.sum()))
    for rows, (count, of) in shares.items():
        if count > config.max_skipped * of:
            raise DataError(
                f"{count:,} of {of:,} of {rows} cannot be used: {why}",
                expected=f"at most {config.max_skipped:.1%} (data.max_skipped)",
                fix="fix or remove them: people who are left out are not judged",
            )


def _with_texts(config: DataConfig, table: Table, base: Path) -> Table:
    column = table.columns[config.text or ""]
    if not isinstance(column, Categories):
        raise DataError(f"column '{config.text}' holds no text", expected="one text per row")
    if column.missing():
        raise DataError(
            f"column '{config.text}' is empty in {column.missing()} rows",
            expected="a text in every row",
            fix="remove those rows",
        )
    tokenizer = open_tokenizer(base / (config.tokenizer or ""))
    return Table({**table.columns, config.text or "": Texts(column, tokenizer)})
