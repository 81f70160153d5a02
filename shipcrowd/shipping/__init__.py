"""Parcels: quoted, booked, labelled, handed over, tracked, cancelled.

Not here: what a courier is (couriers), what it costs (ratecards), whose money pays (wallet), what a failed delivery
or a return means for the seller (ndr, returns).
"""
