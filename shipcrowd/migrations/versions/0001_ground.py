"""The ground: every table of the spine, row security, the queue.

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
from sqlalchemy.util import await_only

from shipcrowd.kernel import schema

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

OWNED = (
    "announcements",
    "audit",
    "bulk_items",
    "bulk_runs",
    "companies",
    "connections",
    "counters",
    "failed_items",
    "idempotency_answers",
    "inbox",
    "ledger_accounts",
    "ledger_movements",
    "manifests",
    "order_events",
    "order_lines",
    "order_references",
    "orders",
    "pickups",
    "place_registrations",
    "places",
    "quotes",
    "rate_cards",
    "scans",
    "shipment_lines",
    "shipments",
    "sign_in_states",
    "store_syncs",
    "sync_entries",
)
"""Company-owned tables: under row security."""


def script(sql: str) -> None:
    """Run several statements at once, which only the driver itself can."""
    await_only(op.get_bind().connection.driver_connection.execute(sql))


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")
    script(schema.queue())
    op.create_table('api_keys',
    sa.Column('id', sa.UUID(), nullable=False),
    sa.Column('company_id', sa.UUID(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('prefix', sa.Text(), nullable=False),
    sa.Column('secret_hash', sa.LargeBinary(), nullable=False),
    sa.Column('scopes', postgresql.ARRAY(sa.Text()), nullable=False),
    sa.Column('created_by', sa.Text(), nullable=False),
    sa.Column('last_used_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('revoked_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_api_keys')),
    sa.UniqueConstraint('prefix', name=op.f('uq_api_keys_prefix')),
    sa.UniqueConstraint('secret_hash', name=op.f('uq_api_keys_secret_hash')),
    info={'unowned': 'a key leads to the company it belongs to'}
    )
    op.create_index(op.f('ix_api_keys_company_id_created_at_id'), 'api_keys', ['company_id', 'created_at', 'id'], unique=False)
    op.create_table('audit',
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('actor', sa.Text(), nullable=False),
    sa.Column('action', sa.Text(), nullable=False),
    sa.Column('subject', sa.Text(), nullable=False),
    sa.Column('details', postgresql.JSONB(), nullable=False),
    sa.Column('company_id', sa.UUID(), nullable=False),
    sa.Column('id', sa.UUID(), nullable=False),
    sa.PrimaryKeyConstraint('company_id', 'id', name=op.f('pk_audit'))
    )
    op.create_index('ix_audit_subject', 'audit', ['company_id', 'subject', 'at'], unique=False)
    op.create_table('buckets',
    sa.Column('key', sa.Text(), nullable=False),
    sa.Column('full_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('key', name=op.f('pk_buckets')),
    info={'unowned': 'rate limits belong to vendor accounts and sign-ins, not companies'}
    )
    op.create_table('bulk_runs',
    sa.Column('actor', sa.Text(), nullable=False),
    sa.Column('choose', sa.Text(), nullable=False),
    sa.Column('place_id', sa.UUID(), nullable=True),
    sa.Column('total', sa.BigInteger(), nullable=False),
    sa.Column('company_id', sa.UUID(), nullable=False),
    sa.Column('id', sa.UUID(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('company_id', 'id', name=op.f('pk_bulk_runs'))
    )
    op.create_table('companies',
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('legal_name', sa.Text(), nullable=True),
    sa.Column('gstin', sa.Text(), nullable=True),
    sa.Column('pan', sa.Text(), nullable=True),
    sa.Column('state', sa.Text(), nullable=True),
    sa.Column('status', sa.Text(), nullable=False),
    sa.Column('settings', postgresql.JSONB(), nullable=False),
    sa.Column('logo_key', sa.Text(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('company_id', sa.UUID(), nullable=False),
    sa.Column('id', sa.UUID(), nullable=False),
    sa.CheckConstraint("status IN ('registered', 'profile_complete', 'kyc_submitted', 'approved', 'suspended', 'rejected')", name=op.f('ck_companies_status')),
    sa.CheckConstraint('id = company_id', name=op.f('ck_companies_own_row')),
    sa.PrimaryKeyConstraint('company_id', 'id', name=op.f('pk_companies'))
    )
    op.create_table('connection_routes',
    sa.Column('vendor', sa.Text(), nullable=False),
    sa.Column('external_id', sa.Text(), nullable=False),
    sa.Column('company_id', sa.UUID(), nullable=False),
    sa.Column('connection_id', sa.UUID(), nullable=False),
    sa.Column('released_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('vendor', 'external_id', name=op.f('pk_connection_routes')),
    info={'unowned': "a webhook leads from the vendor's account to the company that connected it"}
    )
    op.create_index(op.f('ix_connection_routes_connection_id'), 'connection_routes', ['connection_id'], unique=True)
    op.create_table('connections',
    sa.Column('vendor', sa.Text(), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('external_id', sa.Text(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('status', sa.Text(), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('credentials', sa.LargeBinary(), nullable=True),
    sa.Column('credentials_version', sa.BigInteger(), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('renewing_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('connected_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('closed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('last_ok_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('last_error', sa.Text(), nullable=False),
    sa.Column('last_error_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('consecutive_errors', sa.BigInteger(), nullable=False),
    sa.Column('settings', postgresql.JSONB(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('company_id', sa.UUID(), nullable=False),
    sa.Column('id', sa.UUID(), nullable=False),
    sa.CheckConstraint("kind IN ('channel', 'courier')", name=op.f('ck_connections_kind')),
    sa.CheckConstraint("status IN ('connected', 'paused', 'disconnected', 'left')", name=op.f('ck_connections_status')),
    sa.CheckConstraint('credentials_version >= 0', name=op.f('ck_connections_credentials_version')),
    sa.PrimaryKeyConstraint('company_id', 'id', name=op.f('pk_connections')),
    sa.UniqueConstraint('company_id', 'vendor', 'external_id', name=op.f('uq_connections_company_id_vendor_external_id'))
    )
    op.create_table('counters',
    sa.Column('company_id', sa.UUID(), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('last', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('company_id', 'kind', name=op.f('pk_counters'))
    )
    op.create_table('idempotency_answers',
    sa.Column('company_id', sa.UUID(), nullable=False),
    sa.Column('route', sa.Text(), nullable=False),
    sa.Column('key', sa.Text(), nullable=False),
    sa.Column('body_hash', sa.LargeBinary(), nullable=False),
    sa.Column('answer', sa.LargeBinary(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('company_id', 'route', 'key', name=op.f('pk_idempotency_answers'))
    )
    op.create_table('inbox',
    sa.Column('vendor', sa.Text(), nullable=False),
    sa.Column('store', sa.Text(), nullable=False),
    sa.Column('delivery_id', sa.Text(), nullable=False),
    sa.Column('topic', sa.Text(), nullable=False),
    sa.Column('body', sa.LargeBinary(), nullable=True),
    sa.Column('received_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('handled_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('outcome', sa.Text(), server_default='waiting', nullable=False),
    sa.Column('note', sa.Text(), server_default='', nullable=False),
    sa.Column('company_id', sa.UUID(), nullable=False),
    sa.Column('id', sa.UUID(), nullable=False),
    sa.PrimaryKeyConstraint('company_id', 'id', name=op.f('pk_inbox')),
    sa.UniqueConstraint('company_id', 'vendor', 'store', 'delivery_id', name=op.f('uq_inbox_company_id_vendor_store_delivery_id'))
    )
    op.create_index('ix_inbox_failed', 'inbox', ['company_id', 'id'], unique=False, postgresql_where=sa.text("outcome = 'failed'"))
    op.create_index('ix_inbox_recent', 'inbox', ['company_id', 'received_at'], unique=False)
    op.create_table('ledger_accounts',
    sa.Column('code', sa.Text(), nullable=False),
    sa.Column('balance_paise', sa.BigInteger(), nullable=False),
    sa.Column('may_go_negative', sa.Boolean(), nullable=False),
    sa.Column('moved_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('company_id', sa.UUID(), nullable=False),
    sa.Column('id', sa.UUID(), nullable=False),
    sa.CheckConstraint('balance_paise >= 0 OR may_go_negative', name=op.f('ck_ledger_accounts_overdraft')),
    sa.PrimaryKeyConstraint('company_id', 'id', name=op.f('pk_ledger_accounts')),
    sa.UniqueConstraint('company_id', 'code', name=op.f('uq_ledger_accounts_company_id_code'))
    )
    op.create_table('manifests',
    sa.Column('number', sa.Text(), nullable=False),
    sa.Column('state', sa.Text(), nullable=False),
    sa.Column('courier', sa.Text(), nullable=False),
    sa.Column('carrier', sa.Text(), nullable=False),
    sa.Column('place_id', sa.UUID(), nullable=False),
    sa.Column('closed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('handed_over_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('handed_over_to', sa.Text(), nullable=True),
    sa.Column('parcels', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
    sa.Column('weight_grams', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
    sa.Column('to_collect_paise', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
    sa.Column('company_id', sa.UUID(), nullable=False),
    sa.Column('id', sa.UUID(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('company_id', 'id', name=op.f('pk_manifests')),
    sa.UniqueConstraint('company_id', 'number', name=op.f('uq_manifests_company_id_number'))
    )
    op.create_index('ix_manifests_newest', 'manifests', ['company_id', 'created_at', 'id'], unique=False)
    op.create_table('orders',
    sa.Column('source', sa.Text(), nullable=False),
    sa.Column('connection_id', sa.UUID(), nullable=True),
    sa.Column('external_id', sa.Text(), nullable=True),
    sa.Column('external_ref', sa.Text(), nullable=True),
    sa.Column('number', sa.Text(), nullable=False),
    sa.Column('placed_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('source_updated_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('source_hash', sa.Text(), nullable=False),
    sa.Column('source_state', sa.Text(), nullable=False),
    sa.Column('state', sa.Text(), nullable=False),
    sa.Column('payment', sa.Text(), nullable=False),
    sa.Column('currency', sa.Text(), nullable=False),
    sa.Column('subtotal_paise', sa.BigInteger(), nullable=False),
    sa.Column('discount_paise', sa.BigInteger(), nullable=False),
    sa.Column('shipping_paise', sa.BigInteger(), nullable=False),
    sa.Column('tax_paise', sa.BigInteger(), nullable=False),
    sa.Column('total_paise', sa.BigInteger(), nullable=False),
    sa.Column('to_collect_paise', sa.BigInteger(), nullable=False),
    sa.Column('taxes_included', sa.Boolean(), nullable=False),
    sa.Column('fulfilment', sa.Text(), nullable=False),
    sa.Column('city', sa.Text(), nullable=False),
    sa.Column('province', sa.Text(), nullable=False),
    sa.Column('pincode', sa.Text(), nullable=False),
    sa.Column('country', sa.Text(), nullable=False),
    sa.Column('pii', sa.LargeBinary(), nullable=False),
    sa.Column('pii_withheld', sa.Boolean(), nullable=False),
    sa.Column('phone_hash', sa.LargeBinary(), nullable=True),
    sa.Column('email_hash', sa.LargeBinary(), nullable=True),
    sa.Column('address_edited', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('gaps', postgresql.JSONB(), nullable=False),
    sa.Column('weight_grams', sa.BigInteger(), nullable=True),
    sa.Column('length_mm', sa.BigInteger(), nullable=True),
    sa.Column('breadth_mm', sa.BigInteger(), nullable=True),
    sa.Column('height_mm', sa.BigInteger(), nullable=True),
    sa.Column('units', sa.BigInteger(), nullable=False),
    sa.Column('ship_by', sa.DateTime(timezone=True), nullable=True),
    sa.Column('holds', postgresql.ARRAY(sa.Text()), nullable=False),
    sa.Column('tags', postgresql.ARRAY(sa.Text()), nullable=False),
    sa.Column('test', sa.Boolean(), nullable=False),
    sa.Column('duplicate_of', sa.UUID(), nullable=True),
    sa.Column('cancel_asked_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('redacted_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('updated_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('company_id', sa.UUID(), nullable=False),
    sa.Column('id', sa.UUID(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint('total_paise >= 0', name=op.f('ck_orders_total')),
    sa.PrimaryKeyConstraint('company_id', 'id', name=op.f('pk_orders')),
    sa.UniqueConstraint('company_id', 'connection_id', 'external_id', name=op.f('uq_orders_company_id_connection_id_external_id'))
    )
    op.create_index('ix_orders_buyer', 'orders', ['company_id', 'created_at', 'id'], unique=False, postgresql_where=sa.text('redacted_at IS NULL'))
    op.create_index('ix_orders_email', 'orders', ['company_id', 'email_hash'], unique=False, postgresql_where=sa.text('email_hash IS NOT NULL'))
    op.create_index('ix_orders_external', 'orders', ['company_id', 'external_id'], unique=False)
    op.create_index('ix_orders_newest', 'orders', ['company_id', 'placed_at', 'id'], unique=False)
    op.create_index('ix_orders_number', 'orders', ['company_id', sa.literal_column('number COLLATE "C"')], unique=False)
    op.create_index('ix_orders_phone', 'orders', ['company_id', 'phone_hash', 'placed_at'], unique=False, postgresql_where=sa.text('phone_hash IS NOT NULL'))
    op.create_index('ix_orders_pincode', 'orders', ['company_id', sa.literal_column('pincode COLLATE "C"'), 'placed_at', 'id'], unique=False)
    op.create_index('ix_orders_ship_by', 'orders', ['company_id', 'ship_by'], unique=False, postgresql_where=sa.text("state = 'ready'"))
    op.create_index('ix_orders_state', 'orders', ['company_id', 'state', 'placed_at', 'id'], unique=False)
    op.create_table('pickups',
    sa.Column('place_id', sa.UUID(), nullable=False),
    sa.Column('courier', sa.Text(), nullable=False),
    sa.Column('account_company_id', sa.UUID(), nullable=False),
    sa.Column('account_id', sa.UUID(), nullable=False),
    sa.Column('on_day', sa.Date(), nullable=False),
    sa.Column('parcels', sa.BigInteger(), nullable=False),
    sa.Column('state', sa.Text(), nullable=False),
    sa.Column('token', sa.Text(), nullable=True),
    sa.Column('error', sa.Text(), nullable=True),
    sa.Column('company_id', sa.UUID(), nullable=False),
    sa.Column('id', sa.UUID(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('company_id', 'id', name=op.f('pk_pickups'))
    )
    op.create_index('ix_pickups_day', 'pickups', ['company_id', 'on_day', 'id'], unique=False)
    op.create_table('pincodes',
    sa.Column('pincode', sa.Text(), nullable=False),
    sa.Column('city', sa.Text(), nullable=False),
    sa.Column('district', sa.Text(), nullable=False),
    sa.Column('state', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('pincode', name=op.f('pk_pincodes'))
    )
    op.create_table('places',
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('pii', sa.LargeBinary(), nullable=False),
    sa.Column('city', sa.Text(), nullable=False),
    sa.Column('state', sa.Text(), nullable=False),
    sa.Column('pincode', sa.Text(), nullable=False),
    sa.Column('gstin', sa.Text(), nullable=True),
    sa.Column('default_pickup', sa.Boolean(), nullable=False),
    sa.Column('default_return', sa.Boolean(), nullable=False),
    sa.Column('active', sa.Boolean(), nullable=False),
    sa.Column('version', sa.BigInteger(), nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('company_id', sa.UUID(), nullable=False),
    sa.Column('id', sa.UUID(), nullable=False),
    sa.CheckConstraint("NOT default_pickup OR (active AND kind <> 'return')", name=op.f('ck_places_default_pickup')),
    sa.CheckConstraint("NOT default_return OR (active AND kind <> 'pickup')", name=op.f('ck_places_default_return')),
    sa.CheckConstraint("kind IN ('pickup', 'return', 'both')", name=op.f('ck_places_kind')),
    sa.PrimaryKeyConstraint('company_id', 'id', name=op.f('pk_places')),
    sa.UniqueConstraint('company_id', 'name', name=op.f('uq_places_company_id_name'))
    )
    op.create_index(op.f('ix_places_company_id_created_at_id'), 'places', ['company_id', 'created_at', 'id'], unique=False)
    op.create_index('uq_places_default_pickup', 'places', ['company_id'], unique=True, postgresql_where=sa.text('default_pickup'))
    op.create_index('uq_places_default_return', 'places', ['company_id'], unique=True, postgresql_where=sa.text('default_return'))
    op.create_table('platform_crossings',
    sa.Column('why', sa.Text(), nullable=False),
    sa.Column('hour', sa.DateTime(timezone=True), nullable=False),
    sa.Column('times', sa.BigInteger(), nullable=False),
    sa.Column('last_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('why', 'hour', name=op.f('pk_platform_crossings')),
    info={'unowned': 'work that crosses companies belongs to none of them'}
    )
    op.create_table('rate_cards',
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('courier', sa.Text(), nullable=False),
    sa.Column('service', sa.Text(), nullable=False),
    sa.Column('mode', sa.Text(), nullable=False),
    sa.Column('flow', sa.Text(), nullable=False),
    sa.Column('version', sa.BigInteger(), nullable=False),
    sa.Column('effective_from', sa.Date(), nullable=False),
    sa.Column('effective_to', sa.Date(), nullable=True),
    sa.Column('status', sa.Text(), nullable=False),
    sa.Column('currency', sa.Text(), nullable=False),
    sa.Column('terms', postgresql.JSONB(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('company_id', sa.UUID(), nullable=False),
    sa.Column('id', sa.UUID(), nullable=False),
    postgresql.ExcludeConstraint((sa.column('company_id'), '='), (sa.column('courier'), '='), (sa.column('service'), '='), (sa.column('mode'), '='), (sa.column('flow'), '='), (sa.text("daterange(effective_from, effective_to, '[)')"), '&&'), using='gist', name='ex_rate_cards_one_a_day'),
    sa.CheckConstraint("currency = 'INR'", name=op.f('ck_rate_cards_currency')),
    sa.CheckConstraint("flow IN ('forward', 'reverse')", name=op.f('ck_rate_cards_flow')),
    sa.CheckConstraint("mode IN ('surface', 'air', '*')", name=op.f('ck_rate_cards_mode')),
    sa.CheckConstraint("status IN ('active', 'retired')", name=op.f('ck_rate_cards_status')),
    sa.CheckConstraint('effective_to >= effective_from', name=op.f('ck_rate_cards_range')),
    sa.PrimaryKeyConstraint('company_id', 'id', name=op.f('pk_rate_cards')),
    sa.UniqueConstraint('company_id', 'courier', 'service', 'mode', 'flow', 'version', name=op.f('uq_rate_cards_company_id_courier_service_mode_flow_version'))
    )
    op.create_table('shipment_routes',
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('key', sa.Text(), nullable=False),
    sa.Column('company_id', sa.UUID(), nullable=False),
    sa.Column('shipment_id', sa.UUID(), nullable=False),
    sa.Column('made_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('typed', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.PrimaryKeyConstraint('kind', 'key', name=op.f('pk_shipment_routes')),
    info={'unowned': "a courier's webhook and a buyer's link name a parcel, not a company"}
    )
    op.create_table('sign_in_states',
    sa.Column('state_hash', sa.LargeBinary(), nullable=False),
    sa.Column('vendor', sa.Text(), nullable=False),
    sa.Column('external_id', sa.Text(), nullable=False),
    sa.Column('actor', sa.Text(), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('company_id', sa.UUID(), nullable=False),
    sa.Column('id', sa.UUID(), nullable=False),
    sa.PrimaryKeyConstraint('company_id', 'id', name=op.f('pk_sign_in_states')),
    sa.UniqueConstraint('company_id', 'state_hash', name=op.f('uq_sign_in_states_company_id_state_hash'))
    )
    op.create_table('users',
    sa.Column('id', sa.UUID(), nullable=False),
    sa.Column('email_hash', sa.LargeBinary(), nullable=False),
    sa.Column('pii', sa.LargeBinary(), nullable=False),
    sa.Column('password_hash', sa.Text(), nullable=False),
    sa.Column('failed_logins', sa.BigInteger(), nullable=False),
    sa.Column('locked_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('disabled_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_users')),
    sa.UniqueConstraint('email_hash', name=op.f('uq_users_email_hash')),
    info={'unowned': 'sign-in finds the person before any company; one person may work for many'}
    )
    op.create_table('announcements',
    sa.Column('shipment_id', sa.UUID(), nullable=False),
    sa.Column('connection_id', sa.UUID(), nullable=False),
    sa.Column('order_ref', sa.Text(), nullable=False),
    sa.Column('dispatch_ref', sa.Text(), nullable=True),
    sa.Column('state', sa.Text(), nullable=False),
    sa.Column('last_milestone', sa.Text(), nullable=True),
    sa.Column('last_milestone_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('last_error', sa.Text(), nullable=False),
    sa.Column('busy_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('sent_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('company_id', sa.UUID(), nullable=False),
    sa.Column('id', sa.UUID(), nullable=False),
    sa.CheckConstraint("state IN ('pending', 'sent', 'refused', 'withdrawn')", name=op.f('ck_announcements_state')),
    sa.ForeignKeyConstraint(['company_id', 'connection_id'], ['connections.company_id', 'connections.id'], name=op.f('fk_announcements_company_id_connection_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('company_id', 'id', name=op.f('pk_announcements')),
    sa.UniqueConstraint('company_id', 'shipment_id', name=op.f('uq_announcements_company_id_shipment_id'))
    )
    op.create_index('ix_announcements_store', 'announcements', ['company_id', 'connection_id', 'state', 'created_at', 'id'], unique=False)
    op.create_table('bulk_items',
    sa.Column('run_id', sa.UUID(), nullable=False),
    sa.Column('order_id', sa.UUID(), nullable=False),
    sa.Column('state', sa.Text(), nullable=False),
    sa.Column('shipment_id', sa.UUID(), nullable=True),
    sa.Column('code', sa.Text(), nullable=True),
    sa.Column('message', sa.Text(), nullable=True),
    sa.Column('company_id', sa.UUID(), nullable=False),
    sa.Column('id', sa.UUID(), nullable=False),
    sa.ForeignKeyConstraint(['company_id', 'run_id'], ['bulk_runs.company_id', 'bulk_runs.id'], name=op.f('fk_bulk_items_company_id_run_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('company_id', 'id', name=op.f('pk_bulk_items')),
    sa.UniqueConstraint('company_id', 'run_id', 'order_id', name=op.f('uq_bulk_items_company_id_run_id_order_id'))
    )
    op.create_table('failed_items',
    sa.Column('connection_id', sa.UUID(), nullable=False),
    sa.Column('external_id', sa.Text(), nullable=False),
    sa.Column('delivery_id', sa.UUID(), nullable=True),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('raw', sa.LargeBinary(), nullable=True),
    sa.Column('times', sa.BigInteger(), nullable=False),
    sa.Column('failed_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('resolved_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('company_id', sa.UUID(), nullable=False),
    sa.Column('id', sa.UUID(), nullable=False),
    sa.ForeignKeyConstraint(['company_id', 'connection_id'], ['connections.company_id', 'connections.id'], name=op.f('fk_failed_items_company_id_connection_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('company_id', 'id', name=op.f('pk_failed_items')),
    sa.UniqueConstraint('company_id', 'connection_id', 'external_id', name=op.f('uq_failed_items_company_id_connection_id_external_id'))
    )
    op.create_index('ix_failed_items_open', 'failed_items', ['company_id', 'failed_at', 'id'], unique=False, postgresql_where=sa.text('resolved_at IS NULL'))
    op.create_table('ledger_movements',
    sa.Column('debit_account_id', sa.UUID(), nullable=False),
    sa.Column('credit_account_id', sa.UUID(), nullable=False),
    sa.Column('amount_paise', sa.BigInteger(), nullable=False),
    sa.Column('code', sa.Text(), nullable=False),
    sa.Column('reference', sa.Text(), nullable=False),
    sa.Column('idempotency_key', sa.Text(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('reverses', sa.UUID(), nullable=True),
    sa.Column('note', sa.Text(), nullable=False),
    sa.Column('debit_balance_paise', sa.BigInteger(), nullable=False),
    sa.Column('credit_balance_paise', sa.BigInteger(), nullable=False),
    sa.Column('company_id', sa.UUID(), nullable=False),
    sa.Column('id', sa.UUID(), nullable=False),
    sa.CheckConstraint("(code = 'reversal') = (reverses IS NOT NULL)", name=op.f('ck_ledger_movements_reversal')),
    sa.CheckConstraint('amount_paise > 0', name=op.f('ck_ledger_movements_amount')),
    sa.CheckConstraint('debit_account_id <> credit_account_id', name=op.f('ck_ledger_movements_two_accounts')),
    sa.ForeignKeyConstraint(['company_id', 'credit_account_id'], ['ledger_accounts.company_id', 'ledger_accounts.id'], name=op.f('fk_ledger_movements_company_id_credit_account_id')),
    sa.ForeignKeyConstraint(['company_id', 'debit_account_id'], ['ledger_accounts.company_id', 'ledger_accounts.id'], name=op.f('fk_ledger_movements_company_id_debit_account_id')),
    sa.ForeignKeyConstraint(['company_id', 'reverses'], ['ledger_movements.company_id', 'ledger_movements.id'], name=op.f('fk_ledger_movements_company_id_reverses')),
    sa.PrimaryKeyConstraint('company_id', 'id', name=op.f('pk_ledger_movements')),
    sa.UniqueConstraint('company_id', 'idempotency_key', name=op.f('uq_ledger_movements_company_id_idempotency_key'))
    )
    op.create_index(op.f('ix_ledger_movements_company_id_credit_account_id_at_id'), 'ledger_movements', ['company_id', 'credit_account_id', 'at', 'id'], unique=False)
    op.create_index(op.f('ix_ledger_movements_company_id_debit_account_id_at_id'), 'ledger_movements', ['company_id', 'debit_account_id', 'at', 'id'], unique=False)
    op.create_index(op.f('ix_ledger_movements_company_id_reference_at'), 'ledger_movements', ['company_id', 'reference', 'at'], unique=False)
    op.create_index('uq_ledger_movements_reverses', 'ledger_movements', ['company_id', 'reverses'], unique=True, postgresql_where=sa.text('reverses IS NOT NULL'))
    op.create_table('memberships',
    sa.Column('user_id', sa.UUID(), nullable=False),
    sa.Column('company_id', sa.UUID(), nullable=False),
    sa.Column('role', sa.Text(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("role IN ('owner', 'admin', 'manager', 'member', 'viewer', 'warehouse_manager', 'inventory_manager', 'picker', 'packer')", name=op.f('ck_memberships_role')),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_memberships_user_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('user_id', 'company_id', name=op.f('pk_memberships')),
    info={'unowned': "sign-in lists a person's companies before one is chosen"}
    )
    op.create_index(op.f('ix_memberships_company_id_created_at_user_id'), 'memberships', ['company_id', 'created_at', 'user_id'], unique=False)
    op.create_table('order_events',
    sa.Column('order_id', sa.UUID(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('words', sa.Text(), nullable=False),
    sa.Column('actor', sa.Text(), nullable=False),
    sa.Column('details', postgresql.JSONB(), nullable=False),
    sa.Column('company_id', sa.UUID(), nullable=False),
    sa.Column('id', sa.UUID(), nullable=False),
    sa.ForeignKeyConstraint(['company_id', 'order_id'], ['orders.company_id', 'orders.id'], name=op.f('fk_order_events_company_id_order_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('company_id', 'id', name=op.f('pk_order_events'))
    )
    op.create_index('ix_order_events_order', 'order_events', ['company_id', 'order_id', 'at', 'id'], unique=False)
    op.create_table('order_lines',
    sa.Column('order_id', sa.UUID(), nullable=False),
    sa.Column('position', sa.BigInteger(), nullable=False),
    sa.Column('external_id', sa.Text(), nullable=False),
    sa.Column('sku', sa.Text(), nullable=True),
    sa.Column('sku_id', sa.UUID(), nullable=True),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('variant', sa.Text(), nullable=True),
    sa.Column('units', sa.BigInteger(), nullable=False),
    sa.Column('units_elsewhere', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
    sa.Column('units_booked', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
    sa.Column('units_booked_before_edit', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
    sa.Column('unit_price_paise', sa.BigInteger(), nullable=False),
    sa.Column('discount_paise', sa.BigInteger(), nullable=False),
    sa.Column('tax_paise', sa.BigInteger(), nullable=False),
    sa.Column('tax_rate_bp', sa.BigInteger(), nullable=True),
    sa.Column('hsn', sa.Text(), nullable=True),
    sa.Column('weight_grams', sa.BigInteger(), nullable=True),
    sa.Column('requires_shipping', sa.Boolean(), nullable=False),
    sa.Column('external_product_id', sa.Text(), nullable=True),
    sa.Column('external_variant_id', sa.Text(), nullable=True),
    sa.Column('company_id', sa.UUID(), nullable=False),
    sa.Column('id', sa.UUID(), nullable=False),
    sa.CheckConstraint('units_booked >= 0 AND units_booked <= greatest(units, units_booked_before_edit)', name=op.f('ck_order_lines_booked')),
    sa.ForeignKeyConstraint(['company_id', 'order_id'], ['orders.company_id', 'orders.id'], name=op.f('fk_order_lines_company_id_order_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('company_id', 'id', name=op.f('pk_order_lines')),
    sa.UniqueConstraint('company_id', 'order_id', 'external_id', name=op.f('uq_order_lines_company_id_order_id_external_id'))
    )
    op.create_index('ix_order_lines_sku', 'order_lines', ['company_id', sa.literal_column('sku COLLATE "C"')], unique=False, postgresql_where=sa.text('sku IS NOT NULL'))
    op.create_table('order_references',
    sa.Column('order_id', sa.UUID(), nullable=False),
    sa.Column('reference', sa.Text(), nullable=False),
    sa.Column('company_id', sa.UUID(), nullable=False),
    sa.Column('id', sa.UUID(), nullable=False),
    sa.ForeignKeyConstraint(['company_id', 'order_id'], ['orders.company_id', 'orders.id'], name=op.f('fk_order_references_company_id_order_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('company_id', 'id', name=op.f('pk_order_references')),
    sa.UniqueConstraint('company_id', 'reference', 'order_id', name=op.f('uq_order_references_company_id_reference_order_id'))
    )
    op.create_table('place_registrations',
    sa.Column('place_id', sa.UUID(), nullable=False),
    sa.Column('account_id', sa.UUID(), nullable=False),
    sa.Column('courier', sa.Text(), nullable=False),
    sa.Column('state', sa.Text(), nullable=False),
    sa.Column('registered_as', sa.Text(), nullable=True),
    sa.Column('error', sa.Text(), nullable=True),
    sa.Column('updated_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('company_id', sa.UUID(), nullable=False),
    sa.Column('id', sa.UUID(), nullable=False),
    sa.CheckConstraint("(state = 'registered') = (registered_as IS NOT NULL)", name=op.f('ck_place_registrations_registered_as')),
    sa.CheckConstraint("state IN ('pending', 'registered', 'failed')", name=op.f('ck_place_registrations_state')),
    sa.ForeignKeyConstraint(['company_id', 'place_id'], ['places.company_id', 'places.id'], name=op.f('fk_place_registrations_company_id_place_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('company_id', 'id', name=op.f('pk_place_registrations')),
    sa.UniqueConstraint('company_id', 'place_id', 'account_id', name=op.f('uq_place_registrations_company_id_place_id_account_id'))
    )
    op.create_table('quotes',
    sa.Column('order_id', sa.UUID(), nullable=False),
    sa.Column('place_id', sa.UUID(), nullable=False),
    sa.Column('weight_grams', sa.BigInteger(), nullable=False),
    sa.Column('length_mm', sa.BigInteger(), nullable=False),
    sa.Column('breadth_mm', sa.BigInteger(), nullable=False),
    sa.Column('height_mm', sa.BigInteger(), nullable=False),
    sa.Column('options', postgresql.JSONB(), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('company_id', sa.UUID(), nullable=False),
    sa.Column('id', sa.UUID(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['company_id', 'order_id'], ['orders.company_id', 'orders.id'], name=op.f('fk_quotes_company_id_order_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('company_id', 'id', name=op.f('pk_quotes'))
    )
    op.create_table('sessions',
    sa.Column('id', sa.LargeBinary(), nullable=False),
    sa.Column('user_id', sa.UUID(), nullable=False),
    sa.Column('company_id', sa.UUID(), nullable=False),
    sa.Column('csrf', sa.Text(), nullable=False),
    sa.Column('last_seen_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('agent', sa.Text(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_sessions_user_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_sessions')),
    info={'unowned': 'a cookie leads to the company it acts for'}
    )
    op.create_index(op.f('ix_sessions_user_id'), 'sessions', ['user_id'], unique=False)
    op.create_table('shipments',
    sa.Column('number', sa.Text(), nullable=False),
    sa.Column('order_id', sa.UUID(), nullable=False),
    sa.Column('order_number', sa.Text(), nullable=False),
    sa.Column('source', sa.Text(), nullable=False),
    sa.Column('flow', sa.Text(), nullable=False),
    sa.Column('state', sa.Text(), nullable=False),
    sa.Column('courier', sa.Text(), nullable=False),
    sa.Column('account_company_id', sa.UUID(), nullable=False),
    sa.Column('account_id', sa.UUID(), nullable=False),
    sa.Column('service', sa.Text(), nullable=False),
    sa.Column('service_name', sa.Text(), nullable=False),
    sa.Column('carrier', sa.Text(), nullable=False),
    sa.Column('mode', sa.Text(), nullable=False),
    sa.Column('zone', sa.Text(), nullable=True),
    sa.Column('awb', sa.Text(), nullable=True),
    sa.Column('awb_typed_by', sa.Text(), nullable=True),
    sa.Column('courier_order_id', sa.Text(), nullable=True),
    sa.Column('courier_shipment_id', sa.Text(), nullable=True),
    sa.Column('routing_code', sa.Text(), nullable=True),
    sa.Column('payment', sa.Text(), nullable=False),
    sa.Column('to_collect_paise', sa.BigInteger(), nullable=False),
    sa.Column('declared_paise', sa.BigInteger(), nullable=False),
    sa.Column('charge_paise', sa.BigInteger(), nullable=False),
    sa.Column('charge', postgresql.JSONB(), nullable=False),
    sa.Column('courier_charge_paise', sa.BigInteger(), nullable=True),
    sa.Column('weight_grams', sa.BigInteger(), nullable=False),
    sa.Column('length_mm', sa.BigInteger(), nullable=False),
    sa.Column('breadth_mm', sa.BigInteger(), nullable=False),
    sa.Column('height_mm', sa.BigInteger(), nullable=False),
    sa.Column('scanned_weight_grams', sa.BigInteger(), nullable=True),
    sa.Column('place_id', sa.UUID(), nullable=False),
    sa.Column('return_place_id', sa.UUID(), nullable=False),
    sa.Column('pii', sa.LargeBinary(), nullable=False),
    sa.Column('city', sa.Text(), nullable=False),
    sa.Column('province', sa.Text(), nullable=False),
    sa.Column('pincode', sa.Text(), nullable=False),
    sa.Column('attempted_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('booked_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('picked_up_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('delivered_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('moved_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('label_url', sa.Text(), nullable=True),
    sa.Column('label_key', sa.Text(), nullable=True),
    sa.Column('labels_printed', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
    sa.Column('reason_code', sa.Text(), nullable=True),
    sa.Column('reason', sa.Text(), nullable=True),
    sa.Column('cancel_asked_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('last_checked_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('next_check_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('last_location', sa.Text(), server_default='', nullable=False),
    sa.Column('track_key', sa.LargeBinary(), nullable=False),
    sa.Column('courier_track_url', sa.Text(), nullable=True),
    sa.Column('pod', sa.LargeBinary(), nullable=True),
    sa.Column('manifest_id', sa.UUID(), nullable=True),
    sa.Column('pickup_on', sa.Date(), nullable=True),
    sa.Column('booked_by', sa.Text(), nullable=False),
    sa.Column('redact_asked_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('redacted_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('company_id', sa.UUID(), nullable=False),
    sa.Column('id', sa.UUID(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint('charge_paise >= 0', name=op.f('ck_shipments_charge')),
    sa.CheckConstraint('weight_grams > 0 AND length_mm > 0 AND breadth_mm > 0 AND height_mm > 0', name=op.f('ck_shipments_measured')),
    sa.ForeignKeyConstraint(['company_id', 'order_id'], ['orders.company_id', 'orders.id'], name=op.f('fk_shipments_company_id_order_id')),
    sa.PrimaryKeyConstraint('company_id', 'id', name=op.f('pk_shipments')),
    sa.UniqueConstraint('company_id', 'number', name=op.f('uq_shipments_company_id_number'))
    )
    op.create_index('ix_shipments_due', 'shipments', ['next_check_at'], unique=False, postgresql_where=sa.text('next_check_at IS NOT NULL'))
    op.create_index('ix_shipments_manifest', 'shipments', ['company_id', 'manifest_id'], unique=False, postgresql_where=sa.text('manifest_id IS NOT NULL'))
    op.create_index('ix_shipments_newest', 'shipments', ['company_id', 'created_at', 'id'], unique=False)
    op.create_index('ix_shipments_order', 'shipments', ['company_id', 'order_id'], unique=False)
    op.create_index('ix_shipments_redact', 'shipments', ['company_id', 'id'], unique=False, postgresql_where=sa.text('redact_asked_at IS NOT NULL AND (redacted_at IS NULL OR label_key IS NOT NULL OR label_url IS NOT NULL)'))
    op.create_index('ix_shipments_state', 'shipments', ['company_id', 'state', 'created_at', 'id'], unique=False)
    op.create_index('uq_shipments_awb', 'shipments', ['company_id', 'courier', 'awb'], unique=True, postgresql_where=sa.text('awb IS NOT NULL'))
    op.create_table('store_syncs',
    sa.Column('swept_through', sa.DateTime(timezone=True), nullable=True),
    sa.Column('sweep_started_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('sweep_position', sa.DateTime(timezone=True), nullable=True),
    sa.Column('sweeping_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('last_sweep_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('next_sweep_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('last_webhook_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('orders_imported', sa.BigInteger(), nullable=False),
    sa.Column('topics', postgresql.ARRAY(sa.Text()), nullable=False),
    sa.Column('missing_scopes', postgresql.ARRAY(sa.Text()), nullable=False),
    sa.Column('company_id', sa.UUID(), nullable=False),
    sa.Column('id', sa.UUID(), nullable=False),
    sa.ForeignKeyConstraint(['company_id', 'id'], ['connections.company_id', 'connections.id'], name=op.f('fk_store_syncs_company_id_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('company_id', 'id', name=op.f('pk_store_syncs'))
    )
    op.create_index('ix_store_syncs_due', 'store_syncs', ['next_sweep_at'], unique=False)
    op.create_table('sync_entries',
    sa.Column('connection_id', sa.UUID(), nullable=False),
    sa.Column('what', sa.Text(), nullable=False),
    sa.Column('started_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('finished_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('pages', sa.BigInteger(), nullable=False),
    sa.Column('inserted', sa.BigInteger(), nullable=False),
    sa.Column('updated', sa.BigInteger(), nullable=False),
    sa.Column('unchanged', sa.BigInteger(), nullable=False),
    sa.Column('failed', sa.BigInteger(), nullable=False),
    sa.Column('error', sa.Text(), nullable=False),
    sa.Column('company_id', sa.UUID(), nullable=False),
    sa.Column('id', sa.UUID(), nullable=False),
    sa.ForeignKeyConstraint(['company_id', 'connection_id'], ['connections.company_id', 'connections.id'], name=op.f('fk_sync_entries_company_id_connection_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('company_id', 'id', name=op.f('pk_sync_entries'))
    )
    op.create_index('ix_sync_entries_store', 'sync_entries', ['company_id', 'connection_id', 'started_at', 'id'], unique=False)
    op.create_table('scans',
    sa.Column('shipment_id', sa.UUID(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('status', sa.Text(), nullable=False),
    sa.Column('progress', sa.Text(), nullable=True),
    sa.Column('location', sa.Text(), nullable=False),
    sa.Column('remark', sa.Text(), nullable=False),
    sa.Column('received_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('via', sa.Text(), nullable=False),
    sa.Column('company_id', sa.UUID(), nullable=False),
    sa.Column('id', sa.UUID(), nullable=False),
    sa.ForeignKeyConstraint(['company_id', 'shipment_id'], ['shipments.company_id', 'shipments.id'], name=op.f('fk_scans_company_id_shipment_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('company_id', 'id', name=op.f('pk_scans')),
    sa.UniqueConstraint('company_id', 'shipment_id', 'at', 'status', 'location', name=op.f('uq_scans_company_id_shipment_id_at_status_location'))
    )
    op.create_table('shipment_lines',
    sa.Column('shipment_id', sa.UUID(), nullable=False),
    sa.Column('order_line_id', sa.UUID(), nullable=False),
    sa.Column('units', sa.BigInteger(), nullable=False),
    sa.Column('company_id', sa.UUID(), nullable=False),
    sa.Column('id', sa.UUID(), nullable=False),
    sa.CheckConstraint('units > 0', name=op.f('ck_shipment_lines_units')),
    sa.ForeignKeyConstraint(['company_id', 'order_line_id'], ['order_lines.company_id', 'order_lines.id'], name=op.f('fk_shipment_lines_company_id_order_line_id')),
    sa.ForeignKeyConstraint(['company_id', 'shipment_id'], ['shipments.company_id', 'shipments.id'], name=op.f('fk_shipment_lines_company_id_shipment_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('company_id', 'id', name=op.f('pk_shipment_lines')),
    sa.UniqueConstraint('company_id', 'shipment_id', 'order_line_id', name=op.f('uq_shipment_lines_company_id_shipment_id_order_line_id'))
    )
    script(schema.row_security(OWNED))
    script(schema.inbox_function())
    script(schema.grants())
    # Written by migrations only; and a movement of money is never edited, only reversed.
    op.execute("REVOKE INSERT, UPDATE, DELETE ON pincodes FROM shipcrowd_app, shipcrowd_platform")
    op.execute("REVOKE UPDATE, DELETE ON ledger_movements FROM shipcrowd_app, shipcrowd_platform")
    op.execute("REVOKE DELETE ON platform_crossings FROM shipcrowd_app, shipcrowd_platform")
