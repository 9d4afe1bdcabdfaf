"""When memory runs out."""

from __future__ import annotations

import pytest
import torch

from nasx.predictors.memory import halving, is_out_of_memory
from nasx.search_spaces.errors import NasxError

ERRORS = [
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: not enough memory: you tried to allocate 9"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_batches_are_halved_until_they_fit(error: Exception) -> None:
    asked = []

    def attempt(size: int) -> str:
        asked.append(size)
        if size > 5:
            raise error
        return "done"

    with pytest.warns(UserWarning, match="memory ran out: 4 instead of 17 graphs"):
        assert halving(attempt, 17, "graphs") == "done"
    assert asked == [17, 8, 4]


def test_in_the_end_there_is_a_sentence() -> None:
    def never(size: int) -> None:
        raise MemoryError

    with pytest.raises(NasxError, match="memory ran out with one of the graphs"):
        halving(never, 8, "graphs")


def test_other_errors_pass() -> None:
    assert not is_out_of_memory(ValueError("out of memory"))

    def wrong(size: int) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        halving(wrong, 8, "graphs")
