"""Work done ahead in one background thread, which never changes a result. Tests: tests/data/test_prefetch.py."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")


class Prefetch(Generic[T]):
    """`fetch(step, count)`, with the calls that would follow at the same pace already under way.

    The thread ends with `close`, or when the object is collected.

    Args:
      fetch: a function of its arguments alone.
      depth: calls ahead.
    """

    def __init__(self, fetch: Callable[[int, int], T], depth: int = 2):
        self.fetch, self.depth = fetch, depth
        self.executor = ThreadPoolExecutor(1, thread_name_prefix="prefetch")
        self.ahead: deque[tuple[tuple[int, int], Future[T]]] = deque()

    def __call__(self, step: int, count: int) -> T:
        """`fetch(step, count)`; what it raises in the thread is raised here, and only when it is asked for."""
        if not self.ahead or self.ahead[0][0] != (step, count):
            self.forget()
            self.submit(step, count)
        _, future = self.ahead.popleft()
        for offset in range(len(self.ahead) + 1, self.depth + 1):
            self.submit(step + offset * count, count)
        return future.result()

    def submit(self, step: int, count: int) -> None:
        """Start a call."""
        self.ahead.append(((step, count), self.executor.submit(self.fetch, step, count)))

    def forget(self) -> None:
        """Drop what is under way."""
        for _, future in self.ahead:
            future.cancel()
        self.ahead.clear()

    def close(self) -> None:
        """End the thread, after the call it is in."""
        self.forget()
        self.executor.shutdown()
