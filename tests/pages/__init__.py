"""Pages of the documentation that are carried out: what they say to type is typed, and what they show must come out."""
