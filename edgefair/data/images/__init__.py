"""Pictures: found, decoded in bounded memory, and drawn (the synthetic set `glyphs`).

A picture that cannot be decoded is counted, never replaced. What a model sees of one is `probe.inputs.pictures`.
"""
