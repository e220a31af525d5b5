"""What runs a model on the device: onnxruntime, TensorRT.

A runtime is a class behind one interface. It opens the file it was given, and nothing that the file refers to.
"""
