"""Strict reading of CSV and TSV files that people and other programs write."""

import csv
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from data_prep.fields import FIELD_ID
from tfvqgen.data.crops import leaves_folder
from tfvqgen.errors import DataError

# 1 GiB holds ten times the largest table of the Human Protein Atlas.
MAX_BYTES = 2**30


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One line of a table."""

    cells: Mapping[str, str]  # Stripped cells by column name in lower case.
    where: str  # File and line, for messages.

    def get(self, column: str) -> str:
        """Returns a cell; empty if the table has no such column."""
        return self.cells.get(column.lower(), "")


def read_header(path: Path, delimiter: str = ",") -> tuple[str, ...]:
    """Returns the names of a table's columns as they are written.

    Raises:
        DataError: The file is no table in UTF-8.
    """
    return tuple(name for name in next(_lines(path, delimiter), ((), 0))[0] if name)


def read_table(
    path: Path, columns: Sequence[str] = (), delimiter: str = ","
) -> Iterator[Row]:
    """Reads a table line by line: UTF-8 with or without BOM, with any line ends.

    The first line names the columns, without regard to case; all of `columns` are
    required. A first column without a name, such as line numbers, is left out. Tables
    with tabs as `delimiter` have no quotes.

    Raises:
        DataError: The table is missing, empty, too large, damaged or not in UTF-8, a
            column is missing or repeated, or a line has another number of cells; the
            message names file and line.
    """
    lines = _lines(path, delimiter)
    header = [name.lower() for name in next(lines, ((), 0))[0]]
    if any(name.lower() not in header for name in columns):
        raise DataError(
            f"columns are missing in {path}: expected {', '.join(columns)}. "
            f"Received: {', '.join(header) or 'an empty file'}"
        )
    if not header:
        raise DataError(
            f"an empty table: expected a line with names of columns. Received: {path}"
        )
    if len(set(header)) < len(header) or "" in header[1:]:
        raise DataError(
            f"wrong columns in {path}: expected every column to have a unique name. "
            f"Received: {', '.join(map(repr, header))}"
        )
    for cells, number in lines:
        if not any(cells):
            continue
        where = f"{path} line {number}"
        if len(cells) != len(header):
            raise DataError(
                f"damaged table: expected {len(header)} columns in every line. "
                f"Received: {len(cells)} in {where}"
            )
        named = {name: cell for name, cell in zip(header, cells, strict=True) if name}
        yield Row(named, where)


def unique_id(row: Row, column: str, seen: dict, name: str | None = None) -> str:
    """Returns the id of a row: its cell, or `name`, if this is a part of the cell.

    The id is added to `seen`, the earlier ids and their places.

    Raises:
        DataError: It cannot be a part of a file name, or is repeated.
    """
    found = row.get(column) if name is None else name
    check_id(found, f"{column}={found!r} in {row.where}")
    add_once(found, row.where, seen, f"every {column} once")
    return found


def add_once(name: str, where: str, seen: dict[str, str], expected: str) -> None:
    """Adds an id and its place to `seen`; raises a DataError if it is repeated."""
    if name in seen:
        raise DataError(
            f"repeated id: expected {expected}. "
            f"Received: {name!r} in {where} and in {seen[name]}"
        )
    seen[name] = where


def check_id(name: str, received: str) -> None:
    """Raises a DataError with `received` if an id cannot be a part of a file name."""
    if not FIELD_ID.fullmatch(name):
        raise DataError(
            "wrong id: expected 1 to 120 letters, digits, '_', '-' and '.', not "
            f"starting with '.'. Received: {received}"
        )


def path_inside(cell: str, where: str) -> str:
    """Returns a path with forward slashes, which has to stay in its folder."""
    if leaves_folder(cell):
        raise DataError(
            "wrong path: expected one inside the folder of the table, without '..'. "
            f"Received: {cell!r} in {where}"
        )
    return PurePosixPath(cell.replace("\\", "/")).as_posix()


def _lines(path: Path, delimiter: str) -> Iterator[tuple[tuple[str, ...], int]]:
    """Yields the cells and the line number of header and rows."""
    quoting = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(
                f"a table is too large: expected at most {MAX_BYTES} bytes. "
                f"Received: {path}"
            )
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=delimiter, quoting=quoting, strict=True)
            for cells in reader:
                if any("\0" in cell for cell in cells):
                    raise csv.Error(f"a zero byte in line {reader.line_num}")
                yield tuple(cell.strip() for cell in cells), reader.line_num
    except FileNotFoundError:
        raise DataError(f"no such table: expected a file. Received: {path}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"damaged table: expected text in UTF-8 with {delimiter!r} between cells. "
            f"Received: {path} ({error})"
        ) from None
