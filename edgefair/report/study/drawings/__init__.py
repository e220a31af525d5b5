"""The plots of a study, each with the finding as its title, its null line, and how to read it."""
