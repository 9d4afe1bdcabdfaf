"""How a space of choices gets its graphs: the user's functions, their failures as sentences, and what was made kept."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Hashable
from typing import Any

from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.graph import Graph
from nasx.search_spaces.module_network import is_module, read_module

KEPT_BYTES = 64_000_000  # of the graphs that are kept; the oldest go first
HOPELESS = 30  # configurations without a graph, and none with one, before a space is called broken

Chosen = dict[str, Any]


class GraphMaker:
    """Makes the graph of a configuration once, and remembers it, or why there is none.

    Args:
        space: Name of the space.
        build: Makes a graph, or a ``torch.nn.Module`` that is traced (:mod:`module_network`), of ``{choice: value}``.
        graph: Makes the graph instead, where ``build`` makes a module and tracing it would take too long.
        example: What a module is called with, or a function that makes it of ``{choice: value}``.

    >>> maker = GraphMaker("one", lambda chosen: Graph([chosen["a"]], [[0]]))
    >>> maker.graph(("conv",), {"a": "conv"})
    Graph(conv; no edges)
    >>> maker.has_graph((7,), {"a": 7}), maker.failures
    (False, {(7,): 'operation labels must be text; got (7,)'})
    """

    def __init__(
        self,
        space: str,
        build: Callable[[Chosen], Any],
        graph: Callable[[Chosen], Graph] | None = None,
        example: Any = None,
    ) -> None:
        self.space, self.build, self.example = space, build, example
        self.make = build if graph is None else graph
        self.traced = graph is None and example is not None
        self.forget()

    def graph(self, architecture: Hashable, chosen: Chosen) -> Graph:
        """Returns the graph of an architecture.

        Raises:
            UsageError: If it has none; the message names the configuration.
        """
        made = self._made.get(architecture)
        if made is None:
            with self._lock:
                made = self._made.get(architecture) or self._remember(architecture, self._try(chosen))
        if isinstance(made, str):
            raise UsageError(f"the graph function of {self.space} fails for {_written(chosen)}: {made}")
        return made

    def has_graph(self, architecture: Hashable, chosen: Chosen) -> bool:
        """Whether the function makes a graph of the configuration.

        Raises:
            UsageError: If it made none of many, and no other.
        """
        try:
            self.graph(architecture, chosen)
        except _ForAll:
            raise
        except UsageError as error:
            if not self.worked and len(self.failures) >= HOPELESS:
                raise UsageError(f"{error} (and so for all of {HOPELESS} configurations tried)") from error
            return False
        return True

    @property
    def failures(self) -> dict[Hashable, str]:
        """The architectures met that have no graph, and why."""
        return {architecture: made for architecture, made in self._made.items() if isinstance(made, str)}

    def network(self, chosen: Chosen) -> Any:
        """Returns what the build function makes.

        Raises:
            UsageError: If it fails; the message names the configuration.
        """
        try:
            return self.build(chosen)
        except Exception as error:  # whatever a user's function raises
            raise UsageError(
                f"the build function of {self.space} fails for {_written(chosen)}: {_said(error)}"
            ) from error

    def forget(self) -> None:
        """Makes every graph anew when it is asked for next."""
        self._made: dict[Hashable, Graph | str] = {}
        self._bytes, self.worked = 0, False  # whether there was a graph at all
        self._lock = threading.RLock()  # torch.export cannot run twice at once

    def _try(self, chosen: Chosen) -> Graph | str:
        """The graph of a configuration, or why there is none."""
        try:
            made = self._untouched(chosen) if self.traced else self.make(dict(chosen))
        except Exception as error:  # whatever a user's function raises
            missing = isinstance(error, KeyError) and error.args and error.args[0] not in chosen
            hint = (
                f" is not among {', '.join(chosen)}; choices whose condition is not met are missing" if missing else ""
            )
            return _said(error) + hint
        if isinstance(made, Graph):
            return made
        if is_module(made) and self.example is None:
            raise _ForAll(
                f"{self.space} builds torch modules; say what they are called with, as the shape of an input, "
                "example=(1, 3, 32, 32), or give a function that makes their graphs, graph="
            )
        wanted = "a nasx.Graph, or a torch.nn.Module and example=" if self.make is self.build else "a nasx.Graph"
        return f"it returned {made!r:.80}; it must return {wanted}"

    def _untouched(self, chosen: Chosen) -> Any:
        """What build makes, traced if it is a module; torch's own random numbers go on as if nothing had happened."""
        torch = sys.modules.get("torch")
        state = torch.get_rng_state() if torch is not None else None
        try:
            made = self.build(dict(chosen))
            if not is_module(made):
                return made
            example = self.example(dict(chosen)) if callable(self.example) else self.example
            return read_module(made, example, detailed=True)
        finally:
            if torch is not None:
                torch.set_rng_state(state)

    def _remember(self, architecture: Hashable, made: Graph | str) -> Graph | str:
        self._made[architecture] = made
        self.worked = self.worked or isinstance(made, Graph)
        self._bytes += _size(made)
        while self._bytes > KEPT_BYTES and len(self._made) > 1:
            self._bytes -= _size(self._made.pop(next(iter(self._made))))
        return made

    def __getstate__(self) -> dict[str, Any]:
        """What was given; what was made stays behind."""
        return {name: self.__dict__[name] for name in ("space", "build", "example", "make", "traced")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Starts with nothing made."""
        self.__dict__.update(state)
        self.forget()


class _ForAll(UsageError):
    """A mistake that has nothing to do with one configuration."""


def _size(made: Graph | str) -> int:
    """About how many bytes are kept."""
    if isinstance(made, str):
        return 500
    table = made.node_attributes
    return 1_000 + made.adjacency.nbytes + 60 * made.num_nodes + (0 if table is None else table.nbytes)


def _said(error: Exception) -> str:
    """What an exception says, in one line."""
    text = " ".join(str(error).split())[:300]
    return (
        text if isinstance(error, UsageError) else f"{type(error).__name__}: {text}" if text else type(error).__name__
    )


def _written(chosen: Chosen) -> str:
    return ",".join(f"{key}={value}" for key, value in chosen.items())
