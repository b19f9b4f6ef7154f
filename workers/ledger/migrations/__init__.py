"""How the ledger's tables came to be: Alembic migrations, applied by `kyb ledger upgrade`."""
