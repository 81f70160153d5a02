"""The process's one document store, chosen by a setting and opened at start."""

from typing import ClassVar

from shipcrowd.documents.store import Store, open_store


class _Kept:
    store: ClassVar[Store | None] = None


def use(url: str) -> None:
    """Keep documents at `url` (see `store.open_store`) from now on. Raises ValueError or Invalid for a bad one."""
    _Kept.store = open_store(url)


def store() -> Store:
    if _Kept.store is None:
        raise RuntimeError("no document store is open; call documents.keeping.use first")
    return _Kept.store


async def close() -> None:
    if _Kept.store is not None:
        await _Kept.store.close()
        _Kept.store = None
