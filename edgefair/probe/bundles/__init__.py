"""A bundle where it runs: files, signature, verdict and settings, checked before a model is loaded."""
