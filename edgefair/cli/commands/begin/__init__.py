"""Commands with which a project begins."""
