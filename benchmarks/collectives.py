"""What the devices of a compiled program send each other, read off its text."""

import collections
import math
import re

COLLECTIVE = re.compile(
    r" = (\S.*?) (all-gather|all-reduce|all-to-all|collective-\w+|ragged-all-to-all|reduce-scatter)(-start)?\("
)
SHAPE = re.compile(r"\b(pred|[a-z]+\d+)\w*\[([\d,]*)\]")


def operations(text):
    """Returns how many operations of each kind move data between devices."""
    return dict(collections.Counter(operation for _, operation, _ in COLLECTIVE.findall(text)))


def numbers_sent(text):
    """Returns how many numbers a device receives by each operation."""
    return _count(text, lambda dtype: 1)


def bytes_sent(text):
    """Returns how many bytes a device receives by each operation."""
    return _count(text, lambda dtype: max(1, int(re.sub(r"\D", "", dtype) or 8) // 8))


def _count(text, size):
    count = collections.Counter()
    for results, operation, start in COLLECTIVE.findall(text):
        shapes = SHAPE.findall(results)
        if start and operation == "collective-permute":  # lists what is sent, what is received, and two handles
            arrays = [shape for shape in shapes if shape != ("u32", "")]
            shapes = arrays[len(arrays) // 2 :]
        for dtype, shape in shapes:
            count[operation] += size(dtype) * math.prod(map(int, filter(None, shape.split(","))))
    return dict(count)
