"""Alembic's entry: runs on the connection (and in the transaction) that `daemon.migrations.run` opened."""

from alembic import context
from sqlmodel import SQLModel

import shared.schema  # noqa: F401 - defines the tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    render_as_batch=True,
    transactional_ddl=False,  # the caller's transaction covers everything
)
context.run_migrations()
