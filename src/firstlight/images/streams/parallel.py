"""Work on items in threads, results in the order of the items, and only a few at a time."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(
    work: Callable[[Item], Result], items: Iterable[Item], workers: int, worth: Callable[[Item], bool]
) -> Generator[Result]:
    """Map in parallel, lazily.

    Threads, because Pillow and hashlib let go of the interpreter's lock while they work: on two cores they decode
    twice as many JPEG files a second as processes, which have to hand every picture over.

    Parameters
    ----------
    work : callable
        Called once an item.
    items : iterable of Item
        Drawn in the caller's thread, at most ``2 * workers`` further than what has been taken from the result.
    workers : int
        Number of threads; with 1 none is started.
    worth : callable
        Whether an item is worth handing to a thread; the others are worked on in place, when it is their turn to
        be drawn.

    Yields
    ------
    Result
        In the order of the items. When the caller stops early, or is interrupted, what is not begun is dropped and
        the threads have ended when this returns.
    """
    if workers == 1:
        yield from map(work, items)
        return
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="firstlight-images") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item) if worth(item) else _done(work(item)))
                if len(waiting) >= 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _done(result: Result) -> "Future[Result]":
    future: Future[Result] = Future()
    future.set_result(result)
    return future
