"""What the web stack does without us, served as we are: a route that does nothing and one that keeps its body.

python -m bench.bare <port>
"""

import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

import asyncpg
import uvicorn
from fastapi import FastAPI, Request, Response

TABLE = "CREATE TABLE IF NOT EXISTS bare_bodies (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body bytea)"


def bare() -> FastAPI:
    pool: Any = None

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
        nonlocal pool
        size = int(os.environ["SHIPCROWD_DATABASE_POOL"])
        url = os.environ["SHIPCROWD_APP_DATABASE_URL"]
        async with cast(Any, asyncpg).create_pool(url, min_size=size, max_size=size) as pool:
            yield

    app = FastAPI(lifespan=lifespan)

    @app.post("/take")
    async def take(request: Request) -> Response:
        await pool.execute("INSERT INTO bare_bodies (body) VALUES ($1)", await request.body())
        return Response(status_code=200)

    @app.get("/health/live")
    async def live() -> dict[str, str]:
        return {"status": "ok"}

    return app


if __name__ == "__main__":
    uvicorn.run("bench.bare:bare", factory=True, port=int(sys.argv[1]), log_config=None, access_log=False)
