"""SQS on this machine: moto's server, in a thread of this process, behind a loopback address.

It speaks the real protocol, so the product's own client reads from it. It is started when a queue is first asked
for, unless `endpoint` names one that runs beside (`python -m moto.server`, which shares no interpreter with the
stand-ins and so carries more). moto comes with the `sandbox` extra; without it everything but the queue works.
"""

import asyncio
import json
import logging
from typing import Any, cast

import httpx2

from shipcrowd.sandbox.amazon.publish import sqs_headers
from shipcrowd.sandbox.amazon.schemas import QueueView
from shipcrowd.sandbox.refusals import NotPossible

REGION = "eu-west-1"
TRIES = 5  # a message received so often and never deleted goes to the dead-letter queue
SECONDS = 5.0


class Queues:
    """The server, started at most once. `port` 0 is any that is free; `endpoint` is where it listens."""

    def __init__(self) -> None:
        self.port = 0
        self.endpoint: str | None = None
        self._server: Any = None

    def start(self) -> str:
        """Its address; raises NotPossible where moto is not installed."""
        if self.endpoint is None:
            try:
                from moto.server import ThreadedMotoServer
            except ImportError as error:
                raise NotPossible("a queue needs moto: install shipcrowd[sandbox]") from error
            logging.getLogger("werkzeug").setLevel(logging.WARNING)
            self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=self.port, verbose=False)
            self._server.start()
            host, port = self._server.get_host_and_port()
            self.endpoint = f"http://{host}:{port}"
        return self.endpoint

    async def stop(self) -> None:
        """End the server this object started, and what lay in its queues: moto keeps that in the process."""
        if self._server is not None and self.endpoint is not None:
            async with httpx2.AsyncClient(trust_env=False, timeout=SECONDS) as client:
                await client.post(f"{self.endpoint}/moto-api/reset")
            await asyncio.to_thread(self._server.stop)
            self._server = self.endpoint = None

    async def open(self, name: str, *, visibility_seconds: int = 30) -> QueueView:
        """A standard queue and its dead-letter queue; the same ones if they are there."""
        endpoint = self.start()
        async with httpx2.AsyncClient(base_url=endpoint, trust_env=False, timeout=SECONDS) as client:
            dead = await self._queue(client, f"{name}-dead", {})
            redrive = json.dumps({"deadLetterTargetArn": dead[1], "maxReceiveCount": TRIES})
            attributes = {"RedrivePolicy": redrive, "VisibilityTimeout": str(visibility_seconds)}
            live = await self._queue(client, name, attributes)
        return QueueView(
            endpoint=endpoint,
            region=REGION,
            url=live[0],
            arn=live[1],
            dead_letter_url=dead[0],
            dead_letter_arn=dead[1],
        )

    async def _queue(self, client: httpx2.AsyncClient, name: str, attributes: dict[str, str]) -> tuple[str, str]:
        try:
            url = (await ask(client, "GetQueueUrl", QueueName=name))["QueueUrl"]
        except LookupError:
            url = (await ask(client, "CreateQueue", QueueName=name, Attributes=attributes))["QueueUrl"]
        found = await ask(client, "GetQueueAttributes", QueueUrl=url, AttributeNames=["QueueArn"])
        return str(url), str(found["Attributes"]["QueueArn"])


async def ask(client: httpx2.AsyncClient, action: str, **sent: object) -> dict[str, Any]:
    """One action of the SQS server; raises LookupError for what it refuses."""
    reply = await client.post("/", headers=sqs_headers(action, REGION), content=json.dumps(sent))
    if reply.status_code != 200:
        raise LookupError(reply.text[:300])
    return cast(dict[str, Any], reply.json()) if reply.content else {}
