"""PyTorch: networks, the training loop, runs on disk. Below the workflow, torch is imported here, in `debias`,
`compress.steps` and `exporters` only.

Training is a function of its settings and its rows; a killed run resumes from the last completed epoch.
"""
