"""The stand-in for Amazon's Selling Partner API in India: sign-in, orders, notifications, feeds, reports, listings,
FBA stock, catalogue, Easy Ship and Amazon Shipping, on a clock of its own and with its usage plans kept.

`web` is the way in, `desk` what buyers, sellers and Amazon do behind it. What India's API was never seen to do is
written as its models have it.
"""
