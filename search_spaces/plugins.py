"""Plug-ins: what others add to the registries of search spaces, predictors and strategies.

A plug-in is reached in three ways, tried in this order:

1. ``register(name, factory)`` in a running program;
2. an entry point of an installed package, in the group ``nasx.search_spaces``, ``nasx.predictors`` or
   ``nasx.strategies``;
3. its address, ``my_package.my_module:MySpace``, wherever a name is taken.

The names of nasx itself always come first and cannot be taken. A plug-in is imported when it is asked for, or listed;
one that cannot be imported is one sentence and disturbs no other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

from nasx.search_spaces.errors import UsageError, unknown

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_ADDRESS = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
_NAME = re.compile(r"[^\s:,=/]+")


@dataclass(frozen=True)
class Plugin:
    """Something that others have added under a name.

    Attributes:
        name: The name.
        origin: Where it comes from: a package and its version, or the module that registered it.
        line: What it is, in one line; None: the first line of its documentation.
        source: The object itself, or the entry point that leads to it.
        lazy: Whether the source is an entry point, imported when first needed.
    """

    name: str
    origin: str
    line: str | None
    source: Any
    lazy: bool = False

    def load(self) -> Any:
        """Returns the object, imported now if need be.

        Raises:
            UsageError: If it cannot be imported.
        """
        if not self.lazy:
            return self.source
        try:
            return self.source.load()
        except (Exception, SystemExit) as error:  # whatever happens in a foreign module while it is imported
            raise UsageError(
                f"the plug-in '{self.name}' of {self.origin} cannot be imported from '{self.source.value}' "
                f"({_said(error)}); repair or uninstall the package"
            ) from error

    def summary(self) -> str:
        """What it is and where it comes from, in one line; why it cannot be used, if that is so."""
        try:
            line = self.line or first_line(self.load())
        except UsageError as error:
            return f"cannot be used: {error}"
        return f"{line} (from {self.origin})"


class Plugins:
    """The plug-ins of one kind.

    Args:
        kind: What they are, as it is called in sentences: ``"search space"``.
        group: The entry point group of installed packages.
        own: The names of nasx itself.
        reserved: Further names that cannot be taken.

    >>> spaces = Plugins("search space", "nasx.search_spaces", own={"nasbench201"})
    >>> spaces.register("mine", dict, "a space of my own")
    >>> spaces.names(), spaces.find("mine")
    (['mine'], <class 'dict'>)
    >>> spaces.find("collections:OrderedDict")
    <class 'collections.OrderedDict'>
    >>> spaces.register("nasbench201", dict)
    Traceback (most recent call last):
    nasx.search_spaces.errors.UsageError: 'nasbench201' is a search space of nasx itself; choose another name
    """

    def __init__(self, kind: str, group: str, own: Collection[str], reserved: Collection[str] = ()) -> None:
        self.kind, self.group, self._own, self._reserved = kind, group, own, reserved
        self._registered: dict[str, Plugin] = {}

    def register(self, name: str, factory: Any, line: str | None = None) -> None:
        """Makes an object known under a name; registering a name again replaces what it stood for.

        Args:
            name: The name.
            factory: The object, or its address ``"my_package.my_module:MySpace"``, imported when it is first needed.
            line: What it is, in one line; by default the first line of its documentation.

        Raises:
            UsageError: If the name is taken by nasx itself, or is none; or the factory cannot be called.
        """
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise UsageError(f"a {self.kind} needs a name without blanks and without any of : , = /; got {name!r}")
        if self._taken(name):
            raise UsageError(f"'{name}' is a {self.kind} of nasx itself; choose another name")
        if isinstance(factory, str):
            if not is_address(factory):
                raise UsageError(f"'{factory}' is no address of a {self.kind}; write it 'my_package.my_module:MyClass'")
            from importlib.metadata import EntryPoint

            plugin = Plugin(name, factory.partition(":")[0], line, EntryPoint(name, factory, self.group), True)
        else:
            plugin = Plugin(name, str(getattr(factory, "__module__", None) or "this program"), line, factory)
        self._registered[name] = plugin

    def unregister(self, name: str) -> None:
        """Forgets a registered name; one that is not registered is fine."""
        self._registered.pop(name, None)

    def names(self) -> list[str]:
        """The names of all plug-ins: registered ones, then those of installed packages. Nothing is imported."""
        return list(self._all())

    def listing(self) -> list[tuple[str, str]]:
        """Name and one line of every plug-in, with where it comes from. All of them are imported for this."""
        rows = [(plugin.name, plugin.summary()) for plugin in self._all().values()]
        return rows + [(plugin.name, f"cannot be used: the name is taken ({plugin.origin})") for plugin in self._hidden]

    def find(self, name: str, more: Iterable[str] = ()) -> Any:
        """Returns the object behind a name or an address.

        Args:
            name: The name of a plug-in, or ``my_package.my_module:MySpace``.
            more: Further names to list where there is no such thing, beside those of nasx and of plug-ins.

        Raises:
            UsageError: If there is none, or it cannot be imported.
        """
        plugins = self._all()
        if name in plugins:
            return plugins[name].load()
        if is_address(name):
            return load_address(name, self.kind)
        hint = "" if ":" not in name else "; one of your own is written 'my_package.my_module:MyClass'"
        raise UsageError(f"{unknown(self.kind, name, [*self._own, *more, *plugins])}{hint}")

    def _all(self) -> dict[str, Plugin]:
        installed = {plugin.name: plugin for plugin in reversed(self._installed) if not self._taken(plugin.name)}
        return {**self._registered, **{n: p for n, p in reversed(installed.items()) if n not in self._registered}}

    def _taken(self, name: str) -> bool:
        return name in self._own or name in self._reserved

    @cached_property
    def _installed(self) -> list[Plugin]:
        """What installed packages offer, by package; of two packages with one name the first counts."""
        from importlib.metadata import entry_points

        found = {(_origin(point), point.name, point.value): point for point in entry_points(group=self.group)}
        return [
            Plugin(name, origin, None, point, lazy=True)
            for (origin, name, _), point in sorted(found.items(), key=_first)
        ]

    @property
    def _hidden(self) -> list[Plugin]:
        """Plug-ins of installed packages whose name is taken already."""
        shown = {id(plugin) for plugin in self._all().values()}
        return [plugin for plugin in self._installed if id(plugin) not in shown]


def is_address(text: str) -> bool:
    """Whether a text has the form ``my_package.my_module:MySpace``."""
    return isinstance(text, str) and _ADDRESS.fullmatch(text) is not None


def load_address(address: str, kind: str) -> Any:
    """Imports what an address ``my_package.my_module:MySpace`` leads to.

    Args:
        address: The address.
        kind: What is expected there, for the sentences: ``"search space"``.

    Raises:
        UsageError: If the module is not found, fails, or does not hold the name.
    """
    module_name, _, path = address.partition(":")
    try:
        found: Any = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and (module_name == error.name or module_name.startswith(f"{error.name}.")):
            raise UsageError(
                f"there is no module '{error.name}' to take the {kind} '{address}' from; "
                "install its package, or go to the folder that holds it"
            ) from error
        raise UsageError(f"the module '{module_name}' of the {kind} '{address}' needs '{error.name}'") from error
    except (Exception, SystemExit) as error:  # whatever happens in a user's module while it is imported
        raise UsageError(f"the module '{module_name}' of the {kind} '{address}' fails: {_said(error)}") from error
    for part in path.split("."):
        if not hasattr(found, part):
            public = [name for name in dir(found) if not name.startswith("_")]
            raise UsageError(f"{unknown(f'name in {module_name}', part, public)}")
        found = getattr(found, part)
    return found


def made(factory: Any, expected: type, kind: str, name: str, make: Callable[[Any], Any] | None = None) -> Any:
    """Makes what a plug-in stands for: the object itself, or what its class or function returns.

    Args:
        factory: The plug-in.
        expected: The class that the result must be an instance of.
        kind: What it is, for the sentences.
        name: The name it was asked for by.
        make: How it is called; without arguments by default.

    Raises:
        UsageError: If it fails, or makes something else.
    """
    if isinstance(factory, expected):
        return factory
    wanted = f"{expected.__module__}.{expected.__qualname__}"
    if not callable(factory):
        raise UsageError(f"the {kind} '{name}' is {factory!r:.80}, neither a {wanted} nor a function that makes one")
    try:
        result = factory() if make is None else make(factory)
    except UsageError:
        raise
    except Exception as error:
        raise UsageError(f"the {kind} '{name}' cannot be made: {_said(error)}") from error
    if not isinstance(result, expected):
        raise UsageError(f"the {kind} '{name}' makes {result!r:.80}, which is no {wanted}")
    return result


def first_line(thing: Any) -> str:
    """The first line of the documentation of a class, a function or an object; its own, not what it inherits."""
    documented = (
        thing if hasattr(thing, "__qualname__") else type(thing)
    )  # a class or a function, or the class of an object
    if documented is not thing and documented.__module__.partition(".")[0] == "nasx":
        return repr(thing).strip("<>")
    text = documented.__dict__.get("__doc__") if isinstance(documented, type) else documented.__doc__
    lines = text.strip().splitlines() if isinstance(text, str) else []
    return lines[0].strip().rstrip(".") if lines else str(documented.__qualname__)


def _said(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _origin(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else "an installed package"


def _first(item: tuple[tuple[str, str, str], EntryPoint]) -> tuple[str, str, str]:
    return item[0]
