"""What an ONNX file declares, read from its bytes: fields, external data, the spec in its metadata.

No onnx package is needed. A file that could be read in two ways is refused.
"""
