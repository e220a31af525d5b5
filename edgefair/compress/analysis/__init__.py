"""What low precision and pruning do inside a graph, layer by layer and group by group.

For `edgefair explain` and for the repair, which tries first what harms most. Nothing here changes the file that ships.
"""
