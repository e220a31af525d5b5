"""Pictures: found, decoded in bounded memory, and drawn (the synthetic set `glyphs`)."""
