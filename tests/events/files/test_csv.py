"""CSV as it is written by Excel, Spark, MySQL, pandas and people."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.errors import ConfigError, InvalidEvent
from monitor.events.files.csv import Table, read_csv


def table(path: Path, content: str | bytes) -> Table:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_csv(path, lambda: io.BufferedReader(path.open("rb", buffering=0)))


def cells(path: Path, content: str | bytes) -> list[list[str] | str]:
    return [
        f"{row.reason} {line}" if isinstance(row, InvalidEvent) else list(row.values())
        for line, row in table(path, content).rows
    ]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.csv"


def test_quotes_escaped_with_a_backslash_are_quotes(path: Path) -> None:
    content = (
        'output,model\n"He said \\"hi\\", and left",m1\n"{\\"a\\": \\"b\\\\\\"c\\"}",m1\n'
        '"C:\\new, D:\\\\x",m2\nC:\\\\y,m3\n"",m4\n'
        '"over\ntwo \\"lines\\"",m5\n"ends \\\\",m6\n'
    )
    assert cells(path, content) == [
        ['He said "hi", and left', "m1"],
        ['{"a": "b\\"c"}', "m1"],
        ["C:\\new, D:\\x", "m2"],
        ["C:\\\\y", "m3"],
        ["", "m4"],
        ['over\ntwo "lines"', "m5"],
        ["ends \\", "m6"],
    ]


def test_doubled_quotes_beside_backslashes_stay_as_rfc_4180_has_them(path: Path) -> None:
    content = 'output,model\n"{""a"": ""b\\""c""}",m1\n"C:\\dir\\",m2\n"\\\\server",m3\n'
    assert cells(path, content) == [['{"a": "b\\"c"}', "m1"], ["C:\\dir\\", "m2"], ["\\\\server", "m3"]]


def test_a_quote_that_is_out_of_place_costs_its_row_and_no_other(path: Path) -> None:
    content = 'output,model\n"a"b,m1\nfine,m2\n5" wide,m3\n'
    assert cells(path, content) == ["bad_row 2", ["fine", "m2"], ['5" wide', "m3"]]


def test_a_quote_that_is_never_closed_is_said(path: Path) -> None:
    assert cells(path, 'output,model\nfine,m1\n"open,m2\nlost,m3\n') == [["fine", "m1"], "bad_row 3"]


@pytest.mark.parametrize(
    "header", ['"output\ntext",model\n', "output text,model\r\n", ' output text , model\n"x", "y, z"\n']
)
def test_names_in_the_header_are_on_one_line(path: Path, header: str) -> None:
    found = table(path, header)
    found.close()
    assert found.columns == ["output text", "model"]


def test_a_header_over_two_lines_counts_as_two(path: Path) -> None:
    found = table(path, '"output\ntext",model\nHello,m1\n"a\nb",m2\nlast,m3\n')
    assert [line for line, _ in found.rows] == [3, 4, 6]


@pytest.mark.parametrize(
    ("content", "separator"),
    [
        ("sep=;\noutput;model\nhi, there;m1\n", ";"),
        ('"sep=\t"\r\noutput\tmodel\r\nhi, there\tm1\r\n', "\t"),
        ("output;model\nhi, there;m1\n", ";"),
        ("output\tmodel\nhi, there\tm1\n", "\t"),
        ("output|model\nhi, there|m1\n", "|"),
        ('"a;b;c",output\nx,"hi; you; there"\n', ","),
        ('"output, in full";model\n"hi";m1\n', ";"),
        ("output;model,version\nhi;m1\n", ";"),
        ("output\nhi\n", ","),
        ("", ","),
    ],
)
def test_the_separator_is_recognised(path: Path, content: str, separator: str) -> None:
    found = table(path, content)
    assert found.separator == separator
    assert not [row for _, row in found.rows if isinstance(row, InvalidEvent)]


def test_line_numbers_behind_excels_first_line(path: Path) -> None:
    assert [line for line, _ in table(path, "sep=;\noutput;model\na;b\nc;d\n").rows] == [3, 4]


def test_spaces_before_quotes(path: Path) -> None:
    assert cells(path, 'output, model\n"a", "b, c"\n') == [["a", "b, c"]]


def test_two_columns_of_one_name_are_refused(path: Path) -> None:
    with pytest.raises(ConfigError, match="has 2 columns 'output'"):
        table(path, "output,output\n1,2\n")


def test_all_line_ends(path: Path) -> None:
    for end in ("\n", "\r\n", "\r"):
        assert cells(path, f"output,model{end}a,b{end}c,d{end}") == [["a", "b"], ["c", "d"]]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_line_end_where_the_sample_is_cut(path: Path, end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    content = end.join(["output,model", *(f"answer {k},m" for k in range(9))]) + end
    for size in range(12, 40):
        monkeypatch.setattr("monitor.events.files.csv._SAMPLE", size)
        assert cells(path, content) == [[f"answer {k}", "m"] for k in range(9)]


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=8), st.sampled_from(",;\t|"))
def test_what_pythons_writer_writes_is_read_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], sign: str
) -> None:
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=sign, quoting=csv.QUOTE_ALL)
        writer.writerows([("output", "model"), *rows])
    found = [list(row.values()) for _, row in table(path, path.read_bytes()).rows if isinstance(row, dict)]
    assert found == [list(row) for row in rows]


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=8))
def test_backslashed_texts_come_back_or_are_refused(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    """Where a file can be read in both ways, doubled quotes are assumed; the first row here can be read in one."""
    rows = [('he said "hi" to me', "x"), *rows]
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL, doublequote=False, escapechar="\\")
        writer.writerows([("output", "model"), *rows])
    found = [list(row.values()) for _, row in table(path, path.read_bytes()).rows if isinstance(row, dict)]
    assert found == [list(row) for row in rows]
