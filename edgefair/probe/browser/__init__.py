"""A browser on the device as a place where models run: chromium, a page on loopback, and frames between page and probe.

The standard library and numpy only; nothing here is imported before a runtime asks for a browser.
"""
