"""Candidates for shipping: the steps of a recipe carried out, files made, tried on validation rows, repaired."""
