"""How many threads work on one tensor: one, wherever tensors are small.

An operation on a small tensor is shared between threads only to have them wait for each other, and where another
process (or another guest of the same host) takes a core away for a moment, all of them wait for that one. Measured on
two shared cores: the default predictor fits 781 cells in 25 s with one thread and in 95 s with two. Work is therefore
shared in large pieces, each thread its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

WIDE = 256
"""Networks from this width on have matrices that are worth sharing."""


@contextmanager
def threads_for(network: nn.Module) -> Iterator[None]:
    """Within it a narrow network is computed by one thread, a wide one by as many as torch has.

    >>> before = torch.get_num_threads()
    >>> with threads_for(nn.Linear(32, 32)):
    ...     torch.get_num_threads()
    1
    >>> torch.get_num_threads() == before
    True
    """
    widest = max((min(weight.shape[-2:]) for weight in network.parameters() if weight.dim() > 1), default=0)
    before = torch.get_num_threads()
    if widest < WIDE:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def for_each(do: Callable[[NDArray[np.intp]], Any], chunks: list[NDArray[np.intp]], device: torch.device) -> None:
    """Handles chunks, on a CPU each thread its own: a chunk is too small to be shared between threads."""
    threads = min(torch.get_num_threads(), len(chunks)) if device.type == "cpu" else 1
    if threads < 2:
        for rows in chunks:
            do(rows)
        return
    before = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            list(pool.map(do, chunks))
    finally:
        torch.set_num_threads(before)
