"""Trainings that are stopped on the way, as by a kill."""

from edgefair.progress import Progress


class StopError(Exception):
    pass


def stop_after(steps):
    """Progress that ends the training after so many steps."""

    def listener(done, _total, _what):
        if done >= steps:
            raise StopError

    return Progress(listener)
