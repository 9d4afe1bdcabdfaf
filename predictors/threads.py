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
def one_thread(small: bool = True) -> Iterator[None]:
    """Within it tensors are computed by one thread if they are small, else by as many as torch has.

    >>> before = torch.get_num_threads()
    >>> with one_thread():
    ...     torch.get_num_threads()
    1
    >>> torch.get_num_threads() == before
    True
    """
    before = torch.get_num_threads()
    if small:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def is_narrow(network: nn.Module) -> bool:
    """Whether a network has no matrix worth sharing.

    >>> is_narrow(nn.Linear(32, 512)), is_narrow(nn.Linear(512, 512))
    (True, False)
    """
    weights = [weight for weight in network.parameters() if weight.dim() > 1]
    return max((min(weight.shape[-2:]) for weight in weights), default=0) < WIDE


def for_each(
    do: Callable[[NDArray[np.intp]], Any], chunks: list[NDArray[np.intp]], network: nn.Module, device: torch.device
) -> None:
    """Handles chunks of graphs for a network, on a CPU each thread its own."""
    threads = min(torch.get_num_threads(), len(chunks)) if device.type == "cpu" else 1
    if threads < 2:
        with one_thread(is_narrow(network)):
            for rows in chunks:
                do(rows)
        return
    with one_thread(), ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        list(pool.map(do, chunks))
