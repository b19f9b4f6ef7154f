"""Alembic's entry: migrate over the connection that `Database.upgrade` hands in."""

from alembic import context

from workers.ledger.schema import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=False
)
context.run_migrations()
