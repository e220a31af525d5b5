"""Rows for people to look at: samples of every cell, and those that compression decides otherwise.

They are people's data, so nothing here is called unless a user asks for it.
"""
