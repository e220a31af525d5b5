"""What searches for a treatment found, as a person reads it."""
