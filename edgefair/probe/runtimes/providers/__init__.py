"""onnxruntime's execution providers: how one is found, which options it may be given, and where nodes really ran."""
