"""Trainings that are stopped on the way, as by a kill."""


class StopError(Exception):
    pass


def stop_after(steps):
    """A progress callback that ends the training after so many steps."""

    def progress(done, _total, _what):
        if done >= steps:
            raise StopError

    return progress
