"""How a study is shown: as a page with its plots, as Markdown, on a terminal. All from `results.study` alone."""
