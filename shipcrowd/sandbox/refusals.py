"""The two ways the desk says no."""


class Unknown(LookupError):
    """The desk knows nothing by that name."""


class NotPossible(ValueError):
    """The present state does not allow this."""
