"""The ground. (While the spine is being built: straight from the models.)"""

from alembic import op
from sqlalchemy.util import await_only

from shipcrowd.kernel import schema
from shipcrowd.kernel.db import Base

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def script(sql: str) -> None:
    raw = op.get_bind().connection
    await_only(raw.driver_connection.execute(sql))


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")
    op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    script(schema.queue())
    Base.metadata.create_all(op.get_bind())
    owned = [t.name for t in Base.metadata.sorted_tables if "company_id" in t.columns and "unowned" not in t.info]
    script(schema.row_security(owned))
    script(schema.inbox_function())
    script(schema.grants())
