"""What a desk answers when it cannot do what it was told."""


class Unknown(LookupError):
    """The desk knows nothing by that name."""


class NotPossible(ValueError):
    """The present state does not allow this."""
