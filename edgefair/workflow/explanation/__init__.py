"""What `edgefair explain` compares: a run, a model or a bundle, layer by layer.

Training and validation rows only; nothing here changes a verdict or a file that ships.
"""
