"""What the figures are measured on: an embedded PostgreSQL of the run's own, durable as in production, and processes of
the product serving from it. Everything started here is ended here.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from shipcrowd import migrations, process
from shipcrowd.demo.stage import free_port
from shipcrowd.kernel import crypto, db, postgres
from shipcrowd.kernel.tenancy import APP_ROLE
from shipcrowd.settings import settings

TEMPLATE = "bench_template"
POOL = 10
"""Connections a process: the product's default, and every baseline's."""

START_SECONDS = 60
APP_SECRET = "bench-app-secret"


class WillNotStart(RuntimeError):
    """A process did not come up; the end of its log is in the message."""


@dataclass(frozen=True)
class Served:
    """A process that listens on the loopback address."""

    pid: int
    port: int


@dataclass(frozen=True)
class Ground:
    """The server of this run. `folder` holds its data, the documents and the logs of processes."""

    folder: Path
    server: str

    def database(self, name: str) -> str:
        """The app role's URL of a fresh database of that name, with the newest schema."""
        asyncio.run(postgres.create_database(self.server, name, template=TEMPLATE))
        return self.app(name)

    def app(self, name: str) -> str:
        return postgres.database_url(self.server, name, role=APP_ROLE)

    def owner(self, name: str) -> str:
        return postgres.database_url(self.server, name)

    @contextmanager
    def serving(self, name: str, app_url: str, *, baseline: bool = False) -> Generator[Served]:
        """One uvicorn process with our app, or with the bare one, until the block ends."""
        port = free_port(0)
        command = ["bench.bare", str(port)] if baseline else ["shipcrowd", "serve", "--port", str(port)]
        with self.running(name, app_url, *command) as process:
            wait_for(process, port, self.folder / f"{name}.log")
            yield Served(process.pid, port)

    @contextmanager
    def running(self, name: str, app_url: str, *module: str) -> Generator["subprocess.Popen[bytes]"]:
        """One process of Python, ended politely when the block ends."""
        with (self.folder / f"{name}.log").open("ab") as log:
            started = subprocess.Popen(
                [sys.executable, "-m", *module], env=os.environ | self._urls(app_url), stdout=log, stderr=log
            )
        try:
            yield started
        finally:
            started.send_signal(signal.SIGTERM)
            try:
                started.wait(15)
            except subprocess.TimeoutExpired:
                started.kill()
                started.wait(10)

    @asynccontextmanager
    async def product(self, app_url: str) -> AsyncGenerator[None]:
        """The product in this process, on that database, as a serving process or a worker has it."""
        db.connect(app_url, pool=POOL)
        try:
            yield
        finally:
            await db.disconnect()

    def _urls(self, app_url: str) -> Mapping[str, str]:
        return {"SHIPCROWD_OWNER_DATABASE_URL": self.server, "SHIPCROWD_APP_DATABASE_URL": app_url}


@contextmanager
def ground() -> Generator[Ground]:
    """Start the server and migrate the template; stop the server and remove its data at the end."""
    folder = Path(tempfile.mkdtemp(prefix="shipcrowd-bench-"))
    folder.chmod(0o755)  # as root, the server runs as another user
    try:
        server = postgres.start(folder / "pg", fast=False)
        os.environ.pop("SHIPCROWD_SANDBOX", None)
        os.environ.update(
            {
                "SHIPCROWD_ENVIRONMENT": "test",
                "SHIPCROWD_DATA_DIR": str(folder),
                "SHIPCROWD_ENCRYPTION_KEYS": f"bench:{crypto.new_key()}",
                "SHIPCROWD_SEARCH_KEY": crypto.new_key(),
                "SHIPCROWD_DATABASE_POOL": str(POOL),
                "SHIPCROWD_SHOPIFY_CLIENT_ID": "bench",
                "SHIPCROWD_SHOPIFY_CLIENT_SECRET": APP_SECRET,
            }
        )
        settings.cache_clear()
        process.configure(settings().model_copy(update={"log_level": "WARNING", "log_format": "text"}))
        asyncio.run(_template(server))
        yield Ground(folder, server)
    finally:
        with contextlib.suppress(FileNotFoundError):
            postgres.stop(folder / "pg")
        shutil.rmtree(folder, ignore_errors=True)


async def _template(server: str) -> None:
    await postgres.create_database(server, TEMPLATE)
    await migrations.upgrade(postgres.database_url(server, TEMPLATE))


def wait_for(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    """Until it listens. Raises WillNotStart with the end of its log."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise WillNotStart(log.read_text(errors="replace")[-2000:])
