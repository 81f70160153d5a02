"""The web application: every router, what may be reached without signing in, and nothing else."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from fastapi import APIRouter, Depends, FastAPI

from shipcrowd import console, process, system, wiring
from shipcrowd.channels import api as channels_api
from shipcrowd.channels import letters_api
from shipcrowd.channels import parcels_api as channel_parcels_api
from shipcrowd.channels import returns_api as channel_returns_api
from shipcrowd.channels import stock_api as channel_stock_api
from shipcrowd.channels import webhooks as channel_webhooks
from shipcrowd.identity import api as identity_api
from shipcrowd.kernel import problems
from shipcrowd.kernel.web import BodyCap, Observe, known_query, storable_text
from shipcrowd.locations import api as locations_api
from shipcrowd.orders import api as orders_api
from shipcrowd.pincodes import api as pincodes_api
from shipcrowd.ratecards import api as ratecards_api
from shipcrowd.settings import Settings, settings
from shipcrowd.shipping import accounts_api as courier_accounts_api
from shipcrowd.shipping import api as shipping_api
from shipcrowd.shipping import public_api as shipping_public
from shipcrowd.shipping import webhooks as courier_webhooks
from shipcrowd.wallet import api as wallet_api

API = "/api/v1"

PUBLIC_API = frozenset(
    {
        "POST /api/v1/auth/register",
        "POST /api/v1/auth/login",
        "GET /api/v1/public/track",
        "GET /api/v1/public/track/{link}",
        # verified by their signature instead
        "POST /api/v1/webhooks/{vendor}",
        "POST /api/v1/webhooks/{vendor}/{store}",
        "POST /api/v1/webhooks/{vendor}/{store}/{topic}",
        "GET /health/live",
        "GET /health/ready",
        "GET /metrics",
    }
    | {f"POST /api/v1/webhooks/{vendor.slug}" for vendor in wiring.COURIERS if vendor.webhooks}
    | {f"POST /api/v1/webhooks/{vendor.slug}/{{account_id}}" for vendor in wiring.COURIERS if vendor.webhooks}
)
"""Routes that ask nobody to sign in; every other one carries a guard, which a test makes sure of."""


def routers() -> Sequence[APIRouter]:
    """The API's routers, the busiest first. Each is put on the application by itself: the framework tries route
    after route, and all those of a router inside a router once more for each level."""
    return (
        # Couriers' doors stand before the channels' one, whose path has a placeholder in the same spot.
        courier_webhooks.router([vendor.slug for vendor in wiring.COURIERS if vendor.webhooks]),
        channel_webhooks.router,
        orders_api.router,
        shipping_api.router,
        shipping_public.router,
        courier_accounts_api.router,
        identity_api.router,
        locations_api.router,
        ratecards_api.router,
        pincodes_api.router,
        wallet_api.router,
        channels_api.router,
        channel_stock_api.router,
        channel_parcels_api.router,
        letters_api.router,
        channel_returns_api.router,
        system.router,
    )


def create_app(config: Settings | None = None, *, url: str | None = None) -> FastAPI:
    """The application. With `url` it opens its own database at start; without, the caller did."""
    config = config or settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
        if url is None:
            yield
            return
        async with process.ready(config, url):
            yield

    app = FastAPI(
        title="ShipCrowd",
        version="1",
        description="Shipping for Indian e-commerce sellers. Errors are RFC 9457 problems with a stable `code`.",
        lifespan=lifespan,
        openapi_url=f"{API}/openapi.json",
        docs_url=f"{API}/docs" if not config.is_production else None,
        redoc_url=None,
    )
    problems.install(app)
    problems.describe(app)
    for router in routers():
        # Vendors may put what they like behind their webhooks' addresses.
        checks = [] if router.prefix == "/webhooks" else [Depends(known_query), Depends(storable_text)]
        app.include_router(router, prefix=API, responses=problems.RESPONSES, dependencies=checks)
    app.include_router(system.health, responses=problems.RESPONSES)
    console.install(app)
    app.add_middleware(BodyCap, most=config.request_body_bytes)
    app.add_middleware(Observe, https=config.public_url.startswith("https://"))
    return app


def serving() -> FastAPI:
    """For the ASGI server: configured from the environment."""
    config = settings()
    process.configure(config)
    return create_app(config, url=process.app_url(config))
