"""SQL of the writer, made once from the tables, and the binding of Python values to what the file holds.

The writer speaks to the driver directly (docs/decisions/0061): the tables stay the single source of columns and types.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from sqlalchemy import Table
from sqlalchemy.types import TypeDecorator

from shared.schema import TABLES, Flag, Json


class TableStatements:
    """Upsert and delete of one table, by primary key, for `sqlite3`."""

    def __init__(self, table: Table) -> None:
        self.name = table.name
        self.columns: tuple[str, ...] = tuple(column.name for column in table.columns)
        self.key: tuple[str, ...] = tuple(column.name for column in table.primary_key.columns)
        names = ", ".join(f'"{name}"' for name in self.columns)
        marks = ", ".join("?" * len(self.columns))
        rest = [name for name in self.columns if name not in self.key]
        update = ", ".join(f'"{name}" = excluded."{name}"' for name in rest)
        target = ", ".join(f'"{name}"' for name in self.key)
        self.upsert = (
            f"INSERT INTO {table.name} ({names}) VALUES ({marks}) ON CONFLICT ({target}) DO UPDATE SET {update}"
        )
        self.delete = f"DELETE FROM {table.name} WHERE " + " AND ".join(f'"{name}" = ?' for name in self.key)
        self.select = f"SELECT {names} FROM {table.name}"
        self._binders: list[tuple[int, Callable[[Any], Any]]] = []
        self._readers: list[tuple[str, Callable[[Any], Any]]] = []
        self._shown: list[tuple[str, Callable[[Any], Any]]] = []
        for index, column in enumerate(table.columns):
            kind = column.type
            if isinstance(kind, TypeDecorator):
                self._binders.append((index, _with_dialect(kind.process_bind_param)))
                self._readers.append((column.name, _with_dialect(kind.process_result_value)))
                if isinstance(kind, Json | Flag):
                    self._shown.append(self._readers[-1])

    def bind(self, row: Mapping[str, Any]) -> list[Any]:
        """A row as parameters of `upsert`."""
        values = [row[name] for name in self.columns]
        for index, binder in self._binders:
            values[index] = binder(values[index])
        return values

    def read(self, names: Iterable[str], values: Iterable[Any]) -> dict[str, Any]:
        """A row read with raw values back into Python values. Raises ValueError when one is not what it should be."""
        row = dict(zip(names, values, strict=True))
        for name, reader in self._readers:
            if name in row:
                row[name] = reader(row[name])
        return row

    def shown(self, values: Iterable[Any]) -> dict[str, Any]:
        """A raw row as the socket shows it: texts stay texts, JSON is decoded, flags are true or false."""
        row = dict(zip(self.columns, values, strict=True))
        for name, reader in self._shown:
            row[name] = reader(row[name])
        return row

    def as_shown(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """A row of Python values as the socket shows it, whether or not it is in the file."""
        return self.shown(self.bind(row))


def _with_dialect(convert: Callable[[Any, Any], Any]) -> Callable[[Any], Any]:
    return lambda value: convert(value, None)


STATEMENTS: Final[dict[str, TableStatements]] = {name: TableStatements(table) for name, table in TABLES.items()}


def grouped(
    changes: Mapping[tuple[str, tuple[Any, ...]], Mapping[str, Any] | None],
) -> Iterator[tuple[str, list[Any]]]:
    """Changes by (table, key) as statements with their parameter lists, ready for `executemany`."""
    upserts: dict[str, list[Any]] = {}
    deletes: dict[str, list[Any]] = {}
    for (table, key), row in changes.items():
        if row is None:
            deletes.setdefault(table, []).append(key)
        else:
            upserts.setdefault(table, []).append(STATEMENTS[table].bind(row))
    for table, rows in deletes.items():
        yield STATEMENTS[table].delete, rows
    for table, rows in upserts.items():
        yield STATEMENTS[table].upsert, rows
