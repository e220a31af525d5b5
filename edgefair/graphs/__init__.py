"""Tools for ONNX graphs that debiasing, exporters and compression share.

They know graphs, and not why one is changed. No weights are trained and no files are read here.
"""
