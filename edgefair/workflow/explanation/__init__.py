"""What `edgefair explain` compares: a run, a model or a bundle, layer by layer."""
