"""PyTorch: networks, the training loop, runs on disk. Below the workflow, torch is imported here, in `debias`,
`compress.steps` and `exporters` alone.

A training is a function of its settings and its rows; it goes on after its last whole epoch wherever it was killed.
"""
