"""Canary rows of a bundle: made from the model's spec, chosen by the faults that they show, asked of every target.

The device's side, which reads and compares them, is `probe.bundles.canaries`.
"""
