"""Every block of code in the documents: what would read it reads it here, and what can run in a moment runs."""
