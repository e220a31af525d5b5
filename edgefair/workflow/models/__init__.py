"""Which model a command means, and what is known of it: spec, origin, categories, rows that it has seen."""
