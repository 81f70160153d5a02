"""The contract with couriers, and which courier accounts a company may use.

Not here: any one courier (integrations), prices (ratecards), parcels (shipping).
"""
