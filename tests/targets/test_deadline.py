"""A question to a device has a deadline, and one thread keeps all of them."""

import queue
import threading

from edgefair.targets.transports.deadline import Deadline

LONG_S, LATER_S, SHORT_S = 600, 30, 0.2


def watched():
    """A deadline, and where the seconds of every one that has passed arrive."""
    passed = queue.SimpleQueue()
    return Deadline(passed.put), passed


def test_a_block_that_takes_too_long_is_told_while_it_goes_on():
    deadline, passed = watched()
    with deadline.within(SHORT_S):
        assert passed.get(timeout=LATER_S) == SHORT_S
    deadline.close()


def test_a_block_that_ends_in_time_is_not_told_of_and_the_one_after_it_is():
    deadline, passed = watched()
    for seconds in (LONG_S, SHORT_S):
        with deadline.within(seconds):
            pass
    with deadline.within(4 * SHORT_S):
        assert passed.get(timeout=LATER_S) == 4 * SHORT_S
    assert passed.empty()
    deadline.close()


def test_a_shorter_deadline_after_a_longer_one_is_kept():
    deadline, passed = watched()
    with deadline.within(LONG_S):
        pass
    with deadline.within(SHORT_S):
        assert passed.get(timeout=LATER_S) == SHORT_S
    deadline.close()


def test_many_blocks_take_one_thread_which_ends_with_the_connection():
    before = set(threading.enumerate())
    deadline, _ = watched()
    for _ in range(50):
        with deadline.within(LONG_S):
            assert len(set(threading.enumerate()) - before) == 1
    thread = deadline._thread
    deadline.close()
    thread.join(LATER_S)
    assert not thread.is_alive()
