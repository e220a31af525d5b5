"""What ships: the folder with the model, its manifest, its verdict and its signature.

A bundle appears completely or not at all (`staging`). Opening one checks every digest first (`manifest`), and signing
one decides again from its own counts (`redecision`). Files may be added to a bundle; what a device refuses is settled
in `probe.bundles`, so that host and device refuse the same.
"""
