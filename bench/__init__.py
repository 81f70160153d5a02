"""Figures beside their baselines, measured in the same run: `make bench`.

A baseline is the least work that does the same job with the same parts (one INSERT behind a bare route, PgQueuer
alone, the query without us), so that a figure says what we add and not how fast the machine is.
"""
