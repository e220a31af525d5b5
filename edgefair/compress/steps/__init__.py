"""Compression of the torch network: pruning, low rank, sparsity, clusters, training with INT8 simulated.

Each step decides first (`plan`, plain JSON) and is carried out from its plan alone, so that an interrupted run goes on
and a finished one is read. A step is one file and a line in a table.
"""
