"""Runs the migrations without an alembic.ini."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import URL, Engine, create_engine
from sqlalchemy.pool import NullPool


class UnknownRevisionError(Exception):
    """The database names a revision that this program does not have."""

    def __init__(self, revision: str) -> None:
        super().__init__(revision)
        self.revision = revision


def configuration() -> Config:
    """Alembic's configuration, pointing at this folder wherever it was installed or unpacked."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).resolve().parent).replace("%", "%%"))
    return config


def engine(path: Path) -> Engine:
    """An engine whose transactions include DDL, so that a migration happens whole or not at all."""
    return create_engine(
        URL.create("sqlite", database=str(path)), poolclass=NullPool, connect_args={"autocommit": False, "timeout": 5.0}
    )


def upgrade(path: Path, target: str = "head") -> None:
    """Upgrade the database to a revision.

    Raises:
        UnknownRevisionError: its schema is unknown here.
    """
    config = configuration()
    database = engine(path)
    with database.begin() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
        if current is not None:
            try:
                ScriptDirectory.from_config(config).get_revision(current)
            except CommandError as error:
                raise UnknownRevisionError(current) from error
        config.attributes["connection"] = connection
        command.upgrade(config, target)
    database.dispose()
