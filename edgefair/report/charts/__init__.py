"""Results as pictures (PNG). Numbers come from `report.results`; none is computed here."""
