"""Which range of an activation its codes cover, by histograms of its values."""
