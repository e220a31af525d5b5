"""From the `data:` section to rows: read, selected, grouped, split, and identified.

`files` and `images` read, `layouts` know published sets, `identity` says who a row is and which model has seen it,
`survey` examines columns before they are configured. A row that cannot be read is counted and reported; none is
repaired silently.
"""
