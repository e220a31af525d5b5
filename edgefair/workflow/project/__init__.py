"""The files of a project: its config, its CI workflow, and whether they are as they should be."""
