"""What a torch predictor reads: a batch of graphs as padded tensors."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nasx.predictors.features import Array
from nasx.search_spaces.batch import GraphBatch


class Inputs(NamedTuple):
    """Graphs as tensors with leading dimensions `(...)`: `(B)` at rest, `(E or 1, B)` on the way into a network.

    >>> graphs = Inputs(torch.zeros(5, 4, dtype=torch.long), torch.zeros(5, 4, 4), torch.ones(5, 4))
    >>> graphs.rows(torch.tensor([[0, 1], [3, 3], [4, 0]])).codes.shape
    torch.Size([3, 2, 4])
    """

    codes: Tensor
    """Operation codes `(..., N)`, 0 where padded."""
    adjacency: Tensor
    """Directed adjacency `(..., N, N)`, 0.0 or 1.0; of whole networks in one row, `(1, 1, M)`, an `edges.EdgeList`."""
    mask: Tensor
    """1.0 where there is a node `(..., N)`."""
    nodes: Tensor | None = None
    """Features of the nodes `(..., N, 6)`."""
    summary: Tensor | None = None
    """Features of the whole graph `(..., F)`."""
    sizes: Tensor | None = None
    """Multiply-adds and bytes of the layers of whole networks `(..., N, 2)`, in units of a typical network's."""

    def rows(self, index: Tensor) -> Inputs:
        """Picks graphs along the first dimension; an index `(E, b)` gives each member its own batch."""
        return Inputs(*(None if part is None else part[index] for part in self))  # type: ignore[arg-type]

    def unsqueezed(self) -> Inputs:
        """Puts a member dimension of 1 in front."""
        return Inputs(*(None if part is None else part.unsqueeze(0) for part in self))  # type: ignore[arg-type]

    def joined(self, other: Inputs) -> Inputs:
        """Appends other graphs along the second dimension."""
        pairs = zip(self, other, strict=True)
        return Inputs(*(None if a is None or b is None else torch.cat([a, b], dim=1) for a, b in pairs))  # type: ignore[arg-type]


def encode(
    graphs: GraphBatch, device: torch.device, nodes: Array | None = None, summary: Array | None = None
) -> Inputs:
    """Puts graphs, already recoded to the predictor's vocabulary, onto a device, padded to the largest of them."""
    count = int(graphs.num_nodes.max())

    def tensor(values: NDArray[Any] | None, dtype: type = np.float32) -> Tensor | None:
        return None if values is None else torch.from_numpy(values.astype(dtype)).to(device)

    return Inputs(
        tensor(np.maximum(graphs.operations[:, :count], 0), np.int64),  # type: ignore[arg-type]
        tensor(graphs.adjacency[:, :count, :count]),  # type: ignore[arg-type]
        tensor(graphs.mask[:, :count]),  # type: ignore[arg-type]
        None if nodes is None else tensor(nodes[:, :count]),
        tensor(summary),
    )
