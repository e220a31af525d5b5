"""What runs on the device: the standard library, numpy and onnxruntime, nothing else of edgefair.

Python 3.9+. The same files are imported by the host (so both sides encode and read alike) and
packed into the zipapp that is sent to the device.
"""

import os

# onnxruntime 1.29 and newer otherwise keeps an id of the device in its user's home, and calls home while it is timed.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
# With it a model's own metadata would choose how it is run, against the settings that were judged.
os.environ.pop("ORT_LOAD_CONFIG_FROM_MODEL", None)
