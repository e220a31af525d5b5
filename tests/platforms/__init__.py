"""Other operating systems than Linux, as far as one that is not there can be played."""
