"""What every module stands on: time, ids, money, the database and its tenants, jobs, events, the outside world.

The kernel knows no shipping words. Anything that speaks of orders, parcels or couriers belongs above it.
"""
