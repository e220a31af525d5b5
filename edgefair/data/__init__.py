"""From the `data:` section to rows: read, chosen, grouped, split, and identified.

`files` and `images` read, `layouts` know published sets, `identity` says who a row is and who has seen it, `survey`
looks at columns that nobody has described yet. A row that cannot be read is counted and said; none is repaired in
silence.
"""
