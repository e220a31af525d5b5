"""What an ONNX file says of itself, read from its bytes: fields, external data, the spec in its metadata."""
