"""Accounts at outside vendors: which they are, their sealed credentials and the renewal of those, their health.

Not here: what a vendor can do and how it is called (`channels`, `couriers`). This module knows no vendor; it keeps
what was handed to it and gives it back to whoever opens the account.
"""
