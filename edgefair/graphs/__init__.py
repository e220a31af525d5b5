"""Tools on ONNX graphs that treatments, exporters and compression share; none knows what a graph is changed for."""
