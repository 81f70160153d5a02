"""The processes of the demo: a database, the stand-ins, the API, a worker. Started here, and ended here by id."""

import asyncio
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from shipcrowd import migrations
from shipcrowd.kernel import crypto, postgres
from shipcrowd.sandbox.desk import Credentials

STANDARD_PORTS = (8000, 8100)


class WillNotStart(RuntimeError):
    """A process of the demo did not come up; its log says why."""


def free_port(wanted: int) -> int:
    """`wanted` if nobody listens there, else (and for 0) any free port of the loopback address.

    Any is one below those the system gives to connections going out: those come and go between our look and our use.
    """
    for port in (wanted, *(random.randint(20_000, 32_000) for _ in range(50))):  # noqa: S311 - nobody is to be surprised
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            if port:
                return port
    raise WillNotStart("no free port on the loopback address")


@dataclass
class Stage:
    """Everything the demo runs on. `folder` is made anew: a demo starts from nothing."""

    folder: Path
    app_port: int = 0
    sandbox_port: int = 0
    environment: dict[str, str] = field(default_factory=dict[str, str])
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict[str, "subprocess.Popen[bytes]"])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.app_port}"

    @property
    def sandbox_url(self) -> str:
        return f"http://127.0.0.1:{self.sandbox_port}"

    def set_up(self, *, databases: tuple[str, str] | None = None, extra: Mapping[str, str] | None = None) -> None:
        """The database (an embedded one, or the two URLs given), its schema, and this run's own keys."""
        if databases is None:
            postgres.stop(self.folder / "postgres")
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)
            databases = postgres.embedded_urls(self.folder / "postgres")
        (self.folder / "logs").mkdir(parents=True, exist_ok=True)
        self.app_port = self.app_port or free_port(STANDARD_PORTS[0])
        self.sandbox_port = self.sandbox_port or free_port(STANDARD_PORTS[1])
        vendor = Credentials()
        self.environment = {
            "SHIPCROWD_ENVIRONMENT": "demo",
            "SHIPCROWD_DATA_DIR": str(self.folder),
            "SHIPCROWD_OWNER_DATABASE_URL": databases[0],
            "SHIPCROWD_APP_DATABASE_URL": databases[1],
            "SHIPCROWD_ENCRYPTION_KEYS": f"demo:{crypto.new_key()}",
            "SHIPCROWD_SEARCH_KEY": crypto.new_key(),
            "SHIPCROWD_PUBLIC_URL": self.url,
            "SHIPCROWD_PORT": str(self.app_port),
            "SHIPCROWD_SANDBOX": "1",
            "SHIPCROWD_SANDBOX_URL": self.sandbox_url,
            "SHIPCROWD_OUTBOUND_READ_SECONDS": "3",
            "SHIPCROWD_SHOPIFY_CLIENT_ID": vendor.shopify_client_id,
            "SHIPCROWD_SHOPIFY_CLIENT_SECRET": vendor.shopify_client_secret,
            "SHIPCROWD_FLIPKART_APP_ID": vendor.flipkart_app_id,
            "SHIPCROWD_FLIPKART_APP_SECRET": vendor.flipkart_app_secret,
            "SHIPCROWD_JOB_HEARTBEAT_SECONDS": "5",
            "SHIPCROWD_LOG_LEVEL": "INFO",
            **(extra or {}),
        }
        os.environ.update(self.environment)
        asyncio.run(migrations.upgrade(databases[0], databases[1]))

    def tell(self, more: Mapping[str, str]) -> None:
        """Settings for the processes started from now on."""
        self.environment |= more
        os.environ.update(more)

    def start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start one process of the product; its output goes to `logs/<name>.log`."""
        with (self.folder / "logs" / f"{name}.log").open("ab") as log:
            started = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", *arguments], stdout=log, stderr=log, start_new_session=True
            )
        self.processes[name] = started
        return started

    def start_sandbox(self, shop: str) -> None:
        self.start("sandbox", "shipcrowd.sandbox", "--port", str(self.sandbox_port), "--shop", shop)
        self.wait_for("sandbox", f"{self.sandbox_url}/desk")

    def start_api(self, *, reload: bool = False) -> None:
        self.start("api", "shipcrowd", "serve", *(["--reload"] if reload else []))
        self.wait_for("api", f"{self.url}/health/ready")

    def start_worker(self, name: str = "worker") -> subprocess.Popen[bytes]:
        return self.start(name, "shipcrowd", "worker")

    def wait_for(self, name: str, url: str, *, seconds: float = 60) -> None:
        """Until `url` answers 200. Raises WillNotStart with the end of the process's log."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with contextlib.suppress(httpx2.TransportError):
                if httpx2.get(url, timeout=5, trust_env=False).status_code == 200:
                    return
            if self.processes[name].poll() is not None:
                break
            time.sleep(0.1)
        log = (self.folder / "logs" / f"{name}.log").read_text(errors="replace")
        raise WillNotStart(f"{name} did not start:\n{log[-2000:]}")

    def kill(self, name: str) -> None:
        """SIGKILL: no goodbye."""
        process = self.processes.pop(name)
        process.kill()
        process.wait(10)

    def stop(self, *, database: bool = True) -> None:
        """End every process started here, politely and then not, and the embedded database."""
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
        self.processes.clear()
        if database:
            postgres.stop(self.folder / "postgres")
