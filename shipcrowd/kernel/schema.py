"""What the tables need besides their columns: roles, grants, row security, the queue and its trigger.

Migrations call these; nothing else does. Each returns SQL, so that a migration shows what it runs.
"""

from collections.abc import Iterable

from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment

from shipcrowd.kernel.tenancy import APP_ROLE, PLATFORM_ROLE


def roles() -> str:
    """The two roles. The app's role may *become* the platform's for one transaction, but does not inherit it."""
    return f"""
    DO $$
    BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{PLATFORM_ROLE}') THEN
            CREATE ROLE {PLATFORM_ROLE} NOLOGIN;
        END IF;
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{APP_ROLE}') THEN
            CREATE ROLE {APP_ROLE} LOGIN NOINHERIT;
        END IF;
        IF NOT pg_has_role('{APP_ROLE}', '{PLATFORM_ROLE}', 'MEMBER') THEN
            GRANT {PLATFORM_ROLE} TO {APP_ROLE};
        END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL; -- another migration made them at the same moment; roles belong to the whole server
    END $$;
    """


def grants() -> str:
    """Rows, not structure: neither role may alter or own anything."""
    both = f"{APP_ROLE}, {PLATFORM_ROLE}"
    return f"""
    GRANT USAGE ON SCHEMA public TO {both};
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {both};
    GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {both};
    GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO {both};
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {both};
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO {both};
    REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM {both};
    """


def row_security(tables: Iterable[str]) -> str:
    """Row security for company-owned tables. No company set: no rows.

    The platform's policy stands beside the company's and belongs to another role. A flag OR-ed into one policy
    would keep the planner from using the index.
    """
    mine = "company_id = (SELECT nullif(current_setting('shipcrowd.company_id', true), '')::uuid)"
    return "\n".join(
        f"""
        ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
        CREATE POLICY company ON {table} TO {APP_ROLE} USING ({mine}) WITH CHECK ({mine});
        CREATE POLICY platform ON {table} TO {PLATFORM_ROLE} USING (true) WITH CHECK (true);
        """
        for table in tables
    )


def queue() -> str:
    """The job queue's tables, and what we add to them."""
    return (
        QueryBuilderEnvironment().build_install_query(create_schema=False)
        + """
    -- A dedupe key stands for waiting work only. Whoever enqueues the same key while the job waits locks its row
    -- (ON CONFLICT DO UPDATE), so no worker can pick it before the enqueuer's data is committed; once picked, the
    -- key is free, so later news makes a new job. A pick of a picked row means that its worker died.
    CREATE FUNCTION shipcrowd_job_picked() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.status = 'picked' THEN
            NEW.dedupe_key := NULL;
            IF OLD.status = 'picked' THEN
                NEW.headers := coalesce(nullif(NEW.headers, 'null'::jsonb), '{}'::jsonb) || jsonb_build_object(
                    'crashes', coalesce((NEW.headers ->> 'crashes')::int, 0) + 1);
            END IF;
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER shipcrowd_job_picked BEFORE UPDATE OF queue_manager_id ON pgqueuer
        FOR EACH ROW EXECUTE FUNCTION shipcrowd_job_picked();

    -- Workers need waking for new jobs only, and a notifying commit waits for every other: hot intake stays quiet
    -- and wakes the workers once for many.
    DROP TRIGGER tg_pgqueuer_changed ON pgqueuer;
    CREATE FUNCTION shipcrowd_job_added() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF coalesce(current_setting('shipcrowd.quiet', true), '') <> 'on' THEN
            PERFORM shipcrowd_wake();
        END IF;
        RETURN NULL;
    END $$;
    CREATE FUNCTION shipcrowd_wake() RETURNS void LANGUAGE sql AS $$
        SELECT pg_notify('ch_pgqueuer', json_build_object(
            'channel', 'ch_pgqueuer', 'operation', 'insert', 'sent_at', now(),
            'table', 'pgqueuer', 'type', 'table_changed_event')::text)
    $$;
    CREATE TRIGGER tg_pgqueuer_changed AFTER INSERT ON pgqueuer
        FOR EACH STATEMENT EXECUTE FUNCTION shipcrowd_job_added();
    """
    )


def inbox_function() -> str:
    """Webhook intake in one round trip: deliveries, and a job for each group of those that are new. Answers which are;
    of a repeat nothing stays."""
    return """
    CREATE FUNCTION inbox_receive(
        companies uuid[], ids uuid[], vendors text[], stores text[], deliveries text[], topics text[], bodies bytea[],
        at timestamptz, entrypoints text[], payloads bytea[], groups text[]
    ) RETURNS boolean[] LANGUAGE plpgsql AS $$
    DECLARE
        fresh boolean[] := '{}';
    BEGIN
        PERFORM set_config('shipcrowd.quiet', 'on', true);
        FOR i IN 1 .. cardinality(ids) LOOP
            PERFORM set_config('shipcrowd.company_id', companies[i]::text, true);
            INSERT INTO inbox (company_id, id, vendor, store, delivery_id, topic, body, received_at)
            VALUES (companies[i], ids[i], vendors[i], stores[i], deliveries[i], topics[i], bodies[i], at)
            ON CONFLICT (company_id, vendor, store, delivery_id) DO NOTHING;
            fresh[i] := FOUND;
        END LOOP;
        INSERT INTO pgqueuer (priority, entrypoint, payload, headers, status)
        SELECT DISTINCT ON (companies[i], groups[i])
            5, entrypoints[i], payloads[i], jsonb_build_object('company', companies[i]), 'queued'::pgqueuer_status
        FROM generate_series(1, cardinality(ids)) AS i WHERE fresh[i] ORDER BY companies[i], groups[i], i;
        RETURN fresh;
    END $$;
    """
