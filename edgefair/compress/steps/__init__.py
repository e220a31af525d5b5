"""Compression of the torch network: pruning, low rank, sparsity, clusters, training with INT8 simulated.

Each step decides first (`plan`, plain JSON) and is applied from its plan alone, so that an interrupted run resumes and
a finished one is read. A step is one file and a line in a table.
"""
