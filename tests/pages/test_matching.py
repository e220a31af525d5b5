"""What a page shows and what comes out: alike in words, whole numbers and verdicts, near in what was measured."""

import pytest

from tests.pages.matching import first_unlike
from tests.pages.reading import Typed, Written, steps
from tests.pages.shell import MARK, compare

OUTPUT = ["reading", "PASS may ship  dist/people", " sex: gap 0.0187 (FPR 0.0187) of 2,936", "note: 1", "accuracy 0.85"]


@pytest.mark.parametrize(
    "shown",
    [
        OUTPUT,
        ["...", "PASS may ship dist/people", "...", "accuracy 0.86"],
        ["...", "sex: gap 0.0287 (FPR 0.0001) of 2,936", "..."],
        ["...", "PASS ... dist/people", "..."],
        ["...", "sex: gap 0.02 (... 0.02) of 2,936", "..."],
        ["..."],
    ],
)
def test_an_output_is_as_shown_where_only_what_was_measured_moves(shown):
    assert first_unlike(shown, OUTPUT) is None


@pytest.mark.parametrize(
    ("shown", "missed"),
    [
        (["...", "FAIL may ship dist/people", "..."], "FAIL"),
        (["...", "sex: gap 0.0187 (FPR 0.0187) of 2,937", "..."], "2,937"),
        (["...", "sex: gap 0.1187 (FPR 0.0187) of 2,936", "..."], "0.1187"),
        (["PASS may ship dist/people", "..."], "PASS"),
        (["...", "accuracy 0.85", "..."], None),
        (["reading"], "the end"),
        (["...", "accuracy 0.85", "PASS may ship dist/people"], "PASS"),
    ],
)
def test_an_output_that_drifts_is_found_with_the_line(shown, missed):
    unlike = first_unlike(shown, OUTPUT)
    assert unlike is None if missed is None else missed in unlike


PAGE = """\
Write `plan.yaml`:

```yaml
study: x
```

```yaml
study: shown, not written
```

```console
$ edgefair study \\
    plan.yaml
...
done
$ echo $?
0
```
"""


def test_a_page_is_read_as_its_files_and_commands_in_order(tmp_path):
    path = tmp_path / "page.md"
    path.write_text(PAGE)
    written, study, code = steps(path)
    assert written == Written("plan.yaml", "study: x\n")
    assert study == Typed("edgefair study \\\n    plan.yaml", ("...", "done"), 12)
    assert code == Typed("echo $?", ("0",), 16)
    compare(path, [study, code], f"reading\ndone\n\n{MARK} 3\n0\n\n{MARK} 0\n")
    with pytest.raises(AssertionError, match="not as shown: line 1"):
        compare(path, [study, code], f"reading\ndone\n\n{MARK} 3\n3\n\n{MARK} 0\n")
    with pytest.raises(AssertionError, match="exit code 3"):
        compare(path, [study, study], f"reading\ndone\n\n{MARK} 3\ndone\n\n{MARK} 0\n")
