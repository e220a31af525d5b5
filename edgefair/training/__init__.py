"""PyTorch: networks, the training loop, runs on disk. The only packages that import torch are this, `debias`,
`compress.steps` and `exporters`.

A training is a function of its settings and its rows; it goes on after its last whole epoch wherever it was killed.
"""
