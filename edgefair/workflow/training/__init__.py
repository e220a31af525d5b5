"""One stage of training, shared by `train` and by the fine-tunes of compression."""
