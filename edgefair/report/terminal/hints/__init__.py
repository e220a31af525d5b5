"""Hints that no verdict rests on, as a person reads them."""
