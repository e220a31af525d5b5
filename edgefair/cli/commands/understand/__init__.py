"""Commands that say why, and for whom."""
