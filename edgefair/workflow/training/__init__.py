"""One stage of training, shared by `train` and by the fine-tunes of compression.

Run folders and processes are handled here; the loop itself is in `training`.
"""
