import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.tables import Row, read_header, read_table, unique_id
from tfvqgen.errors import DataError


def _rows(path, columns=("id",), **options):
    return [dict(row.cells) for row in read_table(path, columns, **options)]


def _write(tmp_path, data):
    path = tmp_path / "table.csv"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


@pytest.mark.parametrize(
    "data",
    [
        "\ufeffid,Labels\r\na1,x",
        'id,Labels\n"a1","x"\n\n,\n',
        " ID , labels \n a1 , x \n",
    ],
)
def test_a_table_is_read_whatever_its_line_ends(tmp_path, data):
    assert _rows(_write(tmp_path, data)) == [{"id": "a1", "labels": "x"}]


def test_tables_with_tabs_have_no_quotes(tmp_path):
    path = _write(tmp_path, 'id\tname\na1\t5" gun\n')
    assert _rows(path, delimiter="\t") == [{"id": "a1", "name": '5" gun'}]


@pytest.mark.parametrize(
    ("data", "word"),
    [
        ("", "an empty file"),
        ("name\na1\n", "columns are missing.*expected id.*Received: name"),
        ("id,x,X\na1,b,c\n", "a unique name.*'x'"),
        ("id,x\na1\n", "expected 2 columns.*1 in .*line 2"),
        ("id,x\na1,b\na2,b,c\n", "expected 2 columns.*3 in .*line 3"),
        ('id,x\na1,"b\n', "damaged table"),
        ("id\n" + "x" * 200_000, "damaged table"),
        (b"id\n\xff\xfe\n", "UTF-8"),
    ],
)
def test_a_damaged_table_is_named(tmp_path, data, word):
    path = _write(tmp_path, data)
    with pytest.raises(DataError, match=f"(?s){word}") as error:
        _rows(path)
    assert "table.csv" in str(error.value)


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no such table.*none\.csv"):
        _rows(tmp_path / "none.csv")


def test_a_table_that_is_too_large_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "table.csv"
    with open(path, "wb") as file:
        file.truncate(2**30 + 1)
    with pytest.raises(DataError, match=r"too large.*table\.csv"):
        _rows(path)


@settings(deadline=None, max_examples=20)
@given(data=st.binary(max_size=300))
def test_any_bytes_are_rows_or_an_error(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("tables") / "table.csv"
    path.write_bytes(b"id,x\n" + data)
    try:
        rows = _rows(path)
    except DataError as error:
        assert "expected" in str(error)
    else:
        assert all(row.keys() == {"id", "x"} for row in rows)


CELLS = st.text(
    st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cs"]),
    max_size=20,
)


@settings(deadline=None, max_examples=20)
@given(rows=st.lists(st.tuples(CELLS, CELLS), max_size=8))
def test_tables_of_other_programs_are_read_exactly(tmp_path_factory, rows):
    text = io.StringIO()
    csv.writer(text).writerows([("id", "x"), *rows])
    path = tmp_path_factory.mktemp("tables") / "table.csv"
    path.write_bytes(text.getvalue().encode())
    kept = [tuple(cell.strip() for cell in row) for row in rows]
    found = [(row["id"], row["x"]) for row in _rows(path)]
    assert found == [row for row in kept if any(row)]


def test_an_id_twice_names_both_lines():
    seen = {}
    assert unique_id(Row({"id": "a"}, "t.csv line 2"), "id", seen) == "a"
    with pytest.raises(DataError, match=r"'a' in t\.csv line 3 and in t\.csv line 2"):
        unique_id(Row({"id": "a"}, "t.csv line 3"), "id", seen)


def test_the_header_keeps_its_spelling(tmp_path):
    assert read_header(_write(tmp_path, "\ufeffId, GFP\n1,2\n")) == ("Id", "GFP")


def test_a_first_column_without_a_name_is_left_out(tmp_path):
    path = _write(tmp_path, ",id,x\n0,a1,b\n1,a2,\n")
    assert read_header(path) == ("id", "x")
    assert _rows(path) == [{"id": "a1", "x": "b"}, {"id": "a2", "x": ""}]
