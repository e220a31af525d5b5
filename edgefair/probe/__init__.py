"""What runs on the device: the standard library, numpy and onnxruntime, nothing else of edgefair.

Python 3.9+. The same files are imported by the host (so both sides encode and read alike) and
packed into the zipapp that is sent to the device.
"""
