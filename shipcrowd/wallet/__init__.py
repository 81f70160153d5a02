"""What a company can spend, and what is set aside for its bookings.

It has no tables: a wallet is two accounts of the company's book, and a hold is a movement between them (`ledger`).
What a parcel costs is `ratecards`; taking a payment in is `payments`.
"""
