"""From graphs to tokens: what a Transformer reads at each node.

Source: Y. Yi et al., "NAR-Former", CVPR 2023 (the encoding f_PE) and "NAR-Former V2", NeurIPS 2023 (token = operation
and position), with the frequencies of the released code.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from nasx.search_spaces.batch import GraphBatch, as_batch
from nasx.search_spaces.errors import UsageError, unknown
from nasx.search_spaces.graph import Graph

MODES = ("nerf", "trans")
SPACINGS = ("linear", "log")
CODINGS = ("frequency", "one_hot", "codes")

PUBLISHED_LABELS = {  # operation k is label k in the released data
    "nasbench101": ("input", "conv1x1-bn-relu", "conv3x3-bn-relu", "maxpool3x3", "output"),
    "nasbench201": ("input", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3", "skip_connect", "none", "output"),
}


def frequency_encoding(x: ArrayLike, frequencies: int, mode: str = "nerf", spacing: str = "linear") -> np.ndarray:
    """Returns f_PE: sines and cosines of numbers at several frequencies.

    ``nerf``: sin(pi w x), cos(pi w x) with L frequencies w from 1 to 2^(L-1), in equal steps (``linear``, as in the
    released code) or doubling (``log``, as in the papers). ``trans``: sin(w x), cos(w x) with w_k = 10000^(-k/L).

    The argument is rounded to single precision, as in the released code. With L = 32 that makes the high
    frequencies a fixed pseudo-random code of x, nearly orthogonal between small integers.

    Args:
        x: Numbers of any shape ``(...)``.
        frequencies: L.
        mode: ``"nerf"`` or ``"trans"``.
        spacing: ``"linear"`` or ``"log"``, for ``nerf`` only.

    Returns:
        ``(..., 2L)`` float32: sine and cosine of the first frequency, of the second, and so on.

    Raises:
        UsageError: If L is not positive, or the mode or the spacing is unknown.

    >>> frequency_encoding([0, 0.5], 2).round(3).tolist()
    [[0.0, 1.0, 0.0, 1.0], [1.0, -0.0, -0.0, -1.0]]
    >>> frequency_encoding(1, 32).shape
    (64,)
    """
    if mode not in MODES:
        raise unknown("mode of the frequency encoding", mode, MODES)
    if spacing not in SPACINGS:
        raise unknown("spacing of frequencies", spacing, SPACINGS)
    if frequencies < 1:
        raise UsageError(f"a frequency encoding needs at least one frequency; got {frequencies}")
    numbers = np.asarray(x, dtype=np.float32)
    waves: np.ndarray
    if mode == "trans":
        waves = (10000.0 ** (-np.arange(frequencies) / frequencies)).astype(np.float32)
        angles = numbers[..., None] * waves
    else:
        top = frequencies - 1
        waves = np.linspace(1, 2.0**top, frequencies) if spacing == "linear" else 2.0 ** np.arange(frequencies)
        angles = (numbers * np.float32(np.pi))[..., None] * waves.astype(np.float32)
    exact = angles.astype(np.float64)  # so that the sine of a large angle does not depend on the platform
    both = np.stack([np.sin(exact), np.cos(exact)], axis=-1)
    return both.reshape(*numbers.shape, 2 * frequencies).astype(np.float32)


class Tokens(NamedTuple):
    """Graphs as a Transformer reads them.

    Attributes:
        features: ``(B, N, d)`` float32, zero in the padding; ``(B, N)`` int64 with coding ``codes``.
        adjacency: ``(B, N, N)`` bool.
        mask: ``(B, N)`` bool, True at real nodes.
    """

    features: np.ndarray
    adjacency: np.ndarray
    mask: np.ndarray


class Tokenizer:
    """Turns graphs into tokens: a code of the operation, followed by a code of the position.

    Args:
        label_order: The operations; operation k has label k. ``PUBLISHED_LABELS`` has those of the papers.
        coding: ``"frequency"`` (f_PE of the label, 2L numbers), ``"one_hot"`` (one number an operation), or ``"codes"``
            (the label itself, for a learned table; without position).
        frequencies: L of the operation code.
        position_frequencies: L of the position code f_PE(0), f_PE(1), ...; 0 for none.
        mode: See ``frequency_encoding``.
        spacing: See ``frequency_encoding``.

    Raises:
        UsageError: If the coding, the mode or the spacing is unknown, or an operation is listed twice.

    >>> tokenize = Tokenizer(PUBLISHED_LABELS["nasbench101"])
    >>> tokens = tokenize([Graph(["input", "maxpool3x3", "output"], [[0, 1, 0], [0, 0, 1], [0, 0, 0]])])
    >>> tokens.features.shape, tokenize.width
    ((1, 3, 128), 128)
    """

    def __init__(
        self,
        label_order: Sequence[str],
        *,
        coding: str = "frequency",
        frequencies: int = 32,
        position_frequencies: int = 32,
        mode: str = "nerf",
        spacing: str = "linear",
    ) -> None:
        if coding not in CODINGS:
            raise unknown("operation coding", coding, CODINGS)
        self.label_order = tuple(label_order)
        if len(set(self.label_order)) < len(self.label_order):
            raise UsageError(f"an operation is listed twice in the label order: {', '.join(self.label_order)}")
        self.coding = coding
        self.frequencies = frequencies
        self.position_frequencies = position_frequencies
        self.mode = mode
        self.spacing = spacing
        labels = np.arange(len(self.label_order))
        if coding == "frequency":
            self._table = frequency_encoding(labels, frequencies, mode, spacing)
        else:
            self._table = np.eye(len(labels), dtype=np.float32)

    @property
    def width(self) -> int:
        """d, the length of a token; 1 with coding ``codes``."""
        return 1 if self.coding == "codes" else self._table.shape[1] + 2 * self.position_frequencies

    def __call__(self, graphs: GraphBatch | Sequence[Graph]) -> Tokens:
        """Tokenizes graphs.

        Raises:
            UsageError: If a graph has an operation that is not in the label order.
        """
        batch = as_batch(graphs).recode(self.label_order)
        mask = batch.mask
        labels = np.where(mask, batch.operations, 0).astype(np.int64)
        if self.coding == "codes":
            return Tokens(labels, batch.adjacency, mask)
        parts = [self._table[labels]]
        if self.position_frequencies:
            positions = np.arange(batch.max_nodes)
            code = frequency_encoding(positions, self.position_frequencies, self.mode, self.spacing)
            parts.append(np.broadcast_to(code, (*labels.shape, code.shape[1])))
        features = np.concatenate(parts, axis=-1)
        features[~mask] = 0
        return Tokens(features, batch.adjacency, mask)
