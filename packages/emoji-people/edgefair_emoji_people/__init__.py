"""The built-in set `emoji-people` of edgefair, as a package of its own: it would be more than half of edgefair's."""
