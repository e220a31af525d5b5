"""What all tests share: the surroundings of a log, not of a terminal."""

import os

# pytest-xdist tells its workers the width of the terminal that nobody sees; output in a pipe keeps to it.
os.environ.pop("COLUMNS", None)
