"""Tools on ONNX graphs that debiasing and compression both need.

They know ONNX and nothing of the product: names, edits, inner values.
"""
