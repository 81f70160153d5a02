"""Which vendors exist, who listens to which event, what runs by the clock: the tables a newcomer reads first."""

import importlib
import importlib.util
import pkgutil


def import_tables() -> None:
    """Import every module's tables, so that the metadata is whole."""
    import shipcrowd

    for module in pkgutil.iter_modules(shipcrowd.__path__):
        if module.ispkg:
            name = f"shipcrowd.{module.name}.models"
            if importlib.util.find_spec(name):
                importlib.import_module(name)
    for name in ("pace", "inbox", "idempotency", "audit", "counters"):
        importlib.import_module(f"shipcrowd.kernel.{name}")
