"""Who is asking, and for which company: companies, people, their roles, sign-in, sessions and API keys.

`api.May` is how every other module guards its routes. What a role may do stands in `permissions.ROLE_PERMISSIONS`.
This is not about a company's addresses (`locations`), its accounts at vendors (`connections`) or its money (`ledger`).
"""
