"""What a search chooses by on validation rows: the gates of a verdict, before there is one."""
