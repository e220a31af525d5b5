"""Commands that judge models, and show verdicts."""
