"""Each company's book: accounts, and movements of money between them, which are never edited, only reversed.

What accounts and movements there are stands in `chart`. Who may spend what, and when, is the wallet's business; this
module only sees to it that no paisa appears, disappears, or moves twice.
"""
