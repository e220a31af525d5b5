"""Simulations of the claims of a verdict: how often it errs where it must not err more than alpha."""
