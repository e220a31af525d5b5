"""Models that users have -> one checked FP32 ONNX graph. One file a kind; nothing is ever unpickled.

Whatever becomes of a graph later, it comes in by `checked.read_model` or `conversion`.
"""
