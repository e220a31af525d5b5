"""Which task is next: the first in the order of the plan whose needs are met, as many at a time as workers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgefair.study.executors import Executor, Lost
from edgefair.study.run.tasks import Task
from edgefair.study.run.work import Done

# Times that a task whose worker died is tried.
TRIES = 3

Finished = Callable[[Task, Done], None]


def carry_out(tasks: Sequence[Task], executor: Executor, finished: Finished) -> None:
    """Carry out all tasks. What fails is told, and the others go on; rows of a training that failed fail with it.

    Args:
        finished: told once of every task, in the order in which they end, when the next ones have been handed out: no
            worker waits for what is written; what it raises ends the work.
    """
    waiting = {task.name: task for task in tasks}
    running: dict[str, int] = {}
    tries: dict[str, int] = {}
    broken: dict[str, str] = {}
    ended: list[tuple[Task, Done]] = []
    while waiting or running or ended:
        ready = _ready(waiting, running)
        hopeless = next((task for task in ready if not broken.keys().isdisjoint(task.needs)), None)
        if hopeless is not None:
            del waiting[hopeless.name]
            why = next(broken[name] for name in hopeless.needs if name in broken)
            ended.append((hopeless, Done(error=f"its training failed: {why}")))
            continue
        for task in ready[: executor.workers - len(running)]:
            running[task.name] = tries[task.name] = tries.get(task.name, 0) + 1
            executor.submit(task)
        while ended:
            finished(*ended.pop(0))
        if not running:
            continue
        task, found = executor.next()
        del running[task.name]
        if isinstance(found, Lost):
            if tries[task.name] < TRIES:
                continue
            found = Done(error=f"{found.why}, {TRIES} times")
        del waiting[task.name]
        if task.kind == "training" and found.error is not None:
            broken[task.name] = found.error
        ended.append((task, found))


def _ready(waiting: dict[str, Task], running: dict[str, int]) -> list[Task]:
    return [
        task
        for task in waiting.values()
        if task.name not in running and not any(name in waiting for name in task.needs)
    ]
