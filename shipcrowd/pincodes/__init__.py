"""India's addresses: what an address is, pincodes with their place, states and their codes, zones' raw facts.

Not here: what a zone costs (ratecards), where a seller's parcels are picked up (locations).
"""
