"""`--show-rows`: rows in the page of whoever asks, and words with what to do where there are none to show."""

import json

import pytest

from tests.attacks.hostile_names import TAME, make_project, run

PAGE = ("--format", "html=page.html", "--show-rows", "2")
QUICK = ("--no-latency", "--reference", "m.onnx")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_project(tmp_path_factory.mktemp("people"), **TAME)


@pytest.fixture
def project(folder, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "page.html").unlink(missing_ok=True)
    return folder


def test_a_page_shows_the_rows_that_the_csv_file_of_exemplars_names_and_json_does_not(project):
    result = run("compare", "m.onnx", "other.onnx", "--exemplars", "changed.csv", "--json", *PAGE)
    assert result.exit_code == 0, result.output
    page = (project / "page.html").read_text()
    named = {line.split(",")[1] for line in (project / "changed.csv").read_text().splitlines()[1:]}
    shown = {name for name in named if f'<th scope="row">{name}</th>' in page}
    assert 4 <= len(shown) <= 16
    assert (project / "page.html").stat().st_mode & 0o777 == 0o600
    assert not shown & set(json.dumps(json.loads(result.stdout)).replace('"', " ").split())


@pytest.mark.parametrize("order", [(), ("--sequential",)])
def test_a_verdict_shows_rows_of_the_cells_whose_decisions_changed(project, order):
    result = run("verify", "other.onnx", *QUICK, *PAGE, "--report", "report.json", *order)
    assert result.exit_code in {0, 1, 3}, result.output
    page = (project / "page.html").read_text()
    flips = json.loads((project / "report.json").read_text())["targets"][0]["flips"]
    for cell in flips:
        if cell["broken"]:
            assert f"{cell['group'][0]}, label {cell['label']}: {cell['broken']:,} broken" in page


@pytest.mark.parametrize(
    ("arguments", "said", "fix"),
    [
        (("verify", "other.onnx", *QUICK, "--show-rows", "2"), "no file that shows rows", "--format html=rows.html"),
        (("verify", "m.onnx", "--no-latency", *PAGE), "no model before compression is known", "--reference"),
        (("verify", "m.onnx", "--uncompressed", *PAGE), "it was not compressed", "omit it"),
        (("verify", "--from-record", "a.npz", *PAGE), "holds decisions and no features", "verify the model itself"),
        (("verify", "other.onnx", *QUICK, *PAGE, "--set", "policy.audit=sealed"), "policy.audit is sealed", "explain"),
        (("export", "m.onnx", *PAGE, "--set", "policy.audit=sealed"), "policy.audit is sealed", "omit --show-rows"),
        (("compare", "a.npz", "b.npz", *PAGE), "holds decisions and no features", "compare the models themselves"),
        (("report", "report.json", *PAGE), "a saved result holds none", "edgefair verify --show-rows"),
        (("verify", "m.onnx", "--format", "html=page.html", "--show-rows", "0"), "'--show-rows': 0 is not in", ""),
    ],
)  # fmt: skip
def test_where_there_are_no_rows_to_show_it_is_said_with_what_to_do(project, arguments, said, fix):
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert fix in result.stderr
    assert "holds people" not in ((project / "page.html").read_text() if (project / "page.html").exists() else "")
