"""Alembic's entry: runs inside the transaction `shipcrowd.migrations.upgrade` opened."""

from alembic import context

from shipcrowd.kernel.db import Base
from shipcrowd.migrations.tables import import_tables

import_tables()
connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Base.metadata, compare_type=True)
with context.begin_transaction():
    context.run_migrations()
