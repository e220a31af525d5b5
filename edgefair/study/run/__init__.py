"""A study carried out: from a plan and a project to rows, one a cell.

A cell's settings are those of the project with what its levels change (`cells`). A unit of work is one training, or one
file that is made and measured (`tasks`, `work`, `made`, `measured`); what it gives lies under a key of all that decides
it (`store`), so that a run that was killed goes on. `study` hands the units to an executor and writes the table.
"""
