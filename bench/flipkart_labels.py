"""In a process of its own: fetch, store and merge the labels of a seller's packed shipments; its figures as JSON.

python -m bench.flipkart_labels <sandbox url> <bearer token> <folder>, the shipments' ids on standard input.
"""

import asyncio
import json
import resource
import sys
import time
from pathlib import Path

from pydantic import BaseModel, SecretStr

from shipcrowd.channels.contract import StoreAccount
from shipcrowd.documents import keeping
from shipcrowd.documents.merge import NamedPdf, merged_async
from shipcrowd.integrations.flipkart import FlipkartApp, FlipkartCourier, FlipkartCredentials
from shipcrowd.integrations.flipkart import client as endpoints
from shipcrowd.kernel import log
from shipcrowd.kernel.outbound import Http
from shipcrowd.sandbox.app import route_through

AT_ONCE = 16


def account(sandbox: str, token: str) -> StoreAccount:
    async def credentials(stale: BaseModel | None = None) -> BaseModel:
        return FlipkartCredentials(kind="signed_in", seller_id="bench", access_token=SecretStr(token))

    async def at_once(operation: str, cost: int) -> None:
        return None

    async def never(operation: str, capacity: float, left: float, refill: float) -> None:
        return None

    http = Http("flipkart", route=route_through(sandbox))
    return StoreAccount("bench", "bench", credentials, http, FlipkartApp(), at_once, never)


async def measured(sandbox: str, token: str, folder: str, ids: list[str]) -> dict[str, float]:
    keeping.use(Path(folder).as_uri())
    store = account(sandbox, token)
    courier, api = FlipkartCourier(store), endpoints.FlipkartClient(store)
    turns = asyncio.Semaphore(AT_ONCE)

    async def keep(shipment: str) -> str:
        async with turns:
            label = await courier.fetch_label(api.url(endpoints.LABELS, [shipment]))
            key = f"labels/{shipment}.pdf"
            await keeping.store().put(key, label, "application/pdf")
            return key

    began, busy = time.perf_counter(), time.process_time()
    keys = await asyncio.gather(*map(keep, ids))
    merged = await merged_async([NamedPdf(key, await keeping.store().get(key)) for key in keys])
    figures = {
        "seconds": time.perf_counter() - began,
        "busy": time.process_time() - busy,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "bytes": len(merged),
    }
    await store.http.close()
    await keeping.close()
    return figures


if __name__ == "__main__":
    log.configure(level="WARNING", json=False)
    print(json.dumps(asyncio.run(measured(*sys.argv[1:4], ids=sys.stdin.read().split()))))
