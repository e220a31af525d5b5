"""How purity of the data, extent of compression and treatment each move the bias of a model.

A plan (`plan`, its factors in `levels`, its contrasts in `planned`) is fixed before the run. What was run is a table
(`table`) of one row a cell, whose numbers are `responses` of counts and scores. `contrasts`, `variance`, `bootstrap`
and `power` are pure functions of that table, `sentences` says what they found and no more, and
`findings` is the report of it all.
"""
