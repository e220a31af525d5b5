"""What runs a model on the device: onnxruntime, TensorRT."""
