"""A generator that is advanced in a thread, so that reading the next item overlaps with work on the last one."""

import collections
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

Item = TypeVar("Item")
AHEAD = 2
"""The number of items that are read ahead."""
_END = object()


def prefetched(items: Iterator[Item]) -> Iterator[Item]:
    """Yields the items of an iterator, which one thread advances by at most `AHEAD` items."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="jaxssim")
    try:
        reads: collections.deque[Any] = collections.deque(pool.submit(next, items, _END) for _ in range(AHEAD))
        while (item := reads.popleft().result()) is not _END:
            reads.append(pool.submit(next, items, _END))
            yield item
    finally:
        pool.shutdown(cancel_futures=True)  # waits for the item that is being read, and reads no other
