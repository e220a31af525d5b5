"""The judge: a file measured on every target, recorded, decided, and entered in the ledger.

Audit rows are looked at here and nowhere else.
"""
