"""The application's routes, one by one, with what guards each."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts
from starlette.routing import Mount

from shipcrowd.app import API, create_app
from shipcrowd.settings import Settings


@dataclass(frozen=True)
class Route:
    """One method at one path. `guards` are the permissions its dependencies ask for; an empty one asks nobody."""

    method: str
    path: str
    guards: frozenset[str]
    documented: bool
    """In the OpenAPI document; pages and metrics are not."""
    dependant: Dependant | None = field(compare=False, repr=False)

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def is_api(self) -> bool:
        return self.path.startswith(API) and self.dependant is not None


def application(**changes: Any) -> FastAPI:
    """The whole application as it is served, outside production and without a `.env` of this machine."""
    return create_app(Settings(_env_file=None, **({"environment": "test"} | changes)))


def routes(app: FastAPI) -> list[Route]:
    """All routes, in no special order; a mounted application is one route with the method `*`."""
    return [route for context in iter_route_contexts(app.routes) for route in _routes(context)]


def _routes(context: Any) -> Iterator[Route]:
    # A route of an included router is a template; the context knows the path and dependencies it got by inclusion.
    if isinstance(context.original_route, Mount):
        yield Route("*", context.original_route.path, frozenset(), False, None)
        return
    dependant = getattr(context, "dependant", None) if _is_api(context) else None
    documented = dependant is not None and bool(context.include_in_schema)
    for method in sorted(context.methods or {"*"}):
        yield Route(method, context.path, frozenset(_guards(dependant)), documented, dependant)


def _is_api(context: Any) -> bool:
    return hasattr(context.original_route, "dependant")


def _guards(dependant: Dependant | None) -> Iterator[str]:
    if dependant is None:
        return
    permission = getattr(dependant.call, "permission", None)
    if permission:
        yield permission
    for below in dependant.dependencies:
        yield from _guards(below)
