"""How many trainable parameters the network of a NAS-Bench-101 cell has.

The published network: a 3x3 convolution to 128 channels; three stacks of three cells each, of 128, 256 and 512
channels; a linear layer to ten classes. A convolution has no bias and is followed by a batch normalisation of two
parameters a channel. In a cell of c channels the nodes that lead to the output share c between them (the first ones
get one more where it does not divide), any other node has as many as the widest node that it leads to, and every edge
from the input is a 1x1 convolution, as is the one to the output.

The share of a node depends on how the nodes are numbered, so that two numberings of one cell may differ by a few
parameters; the count in the benchmark is that of the numbering given there.

Source: nasbench/lib/model_builder.py and base_ops.py in google-research/nasbench.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nasx.search_spaces.batch import GraphBatch, as_batch
from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.graph import Graph
from nasx.search_spaces.nasbench101_tables import OPERATIONS, VOCABULARY

STEM_CHANNELS = 128
STACKS = 3
CELLS_PER_STACK = 3
IMAGE_CHANNELS = 3
CLASSES = 10


def trainable_parameters(graphs: GraphBatch | Sequence[Graph]) -> np.ndarray:
    """Returns the number of trainable parameters of each network, ``(B,)`` int64; all 423,624 in seconds.

    Args:
        graphs: Cells with their nodes numbered as the network is to be built; dead nodes do not count.

    Raises:
        UsageError: If a cell has no path from input to output, or an operation the benchmark does not have.

    >>> from nasx.search_spaces import get_search_space
    >>> cell = get_search_space("nasbench101").cell("010/001/000", ["input", "conv3x3-bn-relu", "output"])
    >>> trainable_parameters([get_search_space("nasbench101").graph(cell)]).tolist()
    [10177674]
    """
    cells = as_batch(graphs).pruned().recode(VOCABULARY)
    adjacency, kinds, last = cells.adjacency, cells.operations, cells.num_nodes - 1
    rows = np.arange(len(cells))
    column = np.arange(cells.max_nodes)
    inner = (column > 0) & (column < last[:, None])
    unknown = inner & ((kinds < 1) | (kinds > len(OPERATIONS)))
    unknown[:, 0] |= (kinds[:, 0] != 0) | ~adjacency[:, 0].any(axis=1)
    if unknown.any():
        row = int(np.argmax(unknown.any(axis=1)))
        raise UsageError(
            f"row {row}: {cells[row]} has no path from 'input' to 'output', or operations other than "
            f"{', '.join(OPERATIONS)}"
        )
    to_output = adjacency[rows, :, last] & inner
    links = adjacency & inner[:, :, None] & inner[:, None, :]
    total = np.full(len(cells), _convolution(3, IMAGE_CHANNELS, STEM_CHANNELS), dtype=np.int64)
    before = STEM_CHANNELS
    for stack in range(STACKS):
        channels = STEM_CHANNELS << stack
        widths = _widths(to_output, links, channels)
        for _ in range(CELLS_PER_STACK):
            total += np.where(adjacency[rows, 0, last], _convolution(1, before, channels), 0)
            projected = np.where(adjacency[:, 0] & inner, _convolution(1, before, widths), 0)
            total += projected.sum(axis=1)
            for kind, size in ((VOCABULARY.index("conv3x3-bn-relu"), 3), (VOCABULARY.index("conv1x1-bn-relu"), 1)):
                total += np.where(inner & (kinds == kind), _convolution(size, widths, widths), 0).sum(axis=1)
            before = channels
    return total + before * CLASSES + CLASSES


def _convolution(size: int, inputs: int | np.ndarray, outputs: int | np.ndarray) -> int | np.ndarray:
    """Weights of a convolution, and scale and offset of the batch normalisation behind it."""
    return size * size * inputs * outputs + 2 * outputs


def _widths(to_output: np.ndarray, links: np.ndarray, channels: int) -> np.ndarray:
    """The channels of the inner nodes, ``(B, N)``; 0 for all others."""
    sharing = np.maximum(to_output.sum(axis=1, keepdims=True), 1)
    extra = np.cumsum(to_output, axis=1) <= channels % sharing
    widths = np.where(to_output, channels // sharing + extra, 0).astype(np.int64)
    for node in range(to_output.shape[1] - 3, 0, -1):
        widest = np.where(links[:, node], widths, 0).max(axis=1)
        widths[:, node] = np.where(to_output[:, node], widths[:, node], widest)
    return widths
