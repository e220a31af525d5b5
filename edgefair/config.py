"""edgefair.yaml as validated models."""
