"""Results as one page of HTML: sections of sentences, charts and tables, without a script.

`parts` is what a page can hold, `verdict` and `others` say what of a result it does, `document` writes it down. A page
loads nothing and sends nothing.
"""
