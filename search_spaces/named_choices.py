"""Named choices in writing: as text, as values, as the parameters of an Optuna trial."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from nasx.search_spaces.conditions import Condition, ConditionalChoices
from nasx.search_spaces.errors import UsageError, unknown
from nasx.search_spaces.options import Scalar, check_choices, distribution_of
from nasx.search_spaces.space import SearchSpace

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Choices: TypeAlias = tuple[Scalar, ...]
"""One value a choice, in the order of the choices; None where a choice does not exist."""


class NamedChoices(SearchSpace):
    """A space of named choices, as far as it can be written; :class:`ChoiceSpace` moves in it and makes its graphs.

    Args:
        name: The name of the space.
        choices: For every choice its options.
        conditions: When the choices exist that do not always.
        is_valid: Says whether a combination ``{choice: value}`` is allowed; all are, by default.

    Raises:
        UsageError: If the choices or the conditions make no sense.
    """

    def __init__(
        self,
        name: str,
        choices: Mapping[str, Sequence[Scalar]],
        conditions: Mapping[str, Condition | Sequence[Condition]] | None,
        is_valid: Callable[[dict[str, Any]], bool] | None,
    ) -> None:
        self.name = name
        for key, options in choices.items():
            if isinstance(options, str) or not isinstance(options, Sequence):
                raise UsageError(f"the options of '{key}' are a list, like ['a', 'b'], or a range; got {options!r:.80}")
        self.choices: dict[str, Choices] = {key: tuple(options) for key, options in choices.items()}
        self._allows = is_valid
        check_choices(self.choices)
        self._integers = {key: options for key, options in choices.items() if isinstance(options, range)}
        self._tree = ConditionalChoices(self.choices, conditions) if conditions else None
        self._keys = tuple(self.choices)
        self._options = tuple(self.choices.values())
        self._position = tuple({option: place for place, option in enumerate(options)} for options in self._options)
        self._written = tuple({str(option): option for option in options} for options in self._options)

    def choice(self, architecture: Choices) -> dict[str, Any]:
        """Returns the architecture as ``{choice: value}``, without the choices that do not exist in it."""
        if self._tree is None:
            return dict(zip(self._keys, architecture, strict=True))
        return {
            key: value
            for key, value, conditional in zip(self._keys, architecture, self._tree.conditional, strict=True)
            if value is not None or not conditional
        }

    def changes(self, first: Choices, second: Choices) -> int:
        """Returns how many of the choices that exist in both architectures differ."""
        one, other = self.choice(first), self.choice(second)
        return sum(one[key] != other[key] for key in one.keys() & other.keys())

    def validate(self, architecture: Choices) -> None:
        """Checks that the value is a tuple with an option of each choice, and an allowed combination.

        Raises:
            UsageError: If it is not.
        """
        if not isinstance(architecture, tuple) or len(architecture) != len(self._keys):
            raise UsageError(
                f"an architecture of {self.name} is a tuple of {len(self._keys)} values "
                f"({', '.join(self._keys)}); got {architecture!r}"
            )
        for place, (key, options, value) in enumerate(zip(self._keys, self._options, architecture, strict=True)):
            if self._tree is not None and not self._tree.exists(place, architecture):
                if value is not None:
                    raise self._without(key)
                continue
            if not any(value == option and type(value) is type(option) for option in options):
                raise unknown(f"value of {key} in {self.name}", value, map(str, options))
        if not self._allowed(architecture):
            raise UsageError(f"the combination {self._plain(architecture)} is not allowed in {self.name}")

    def parse(self, text: str) -> Choices:
        """Reads ``name=value,name=value``, in any order of names.

        Raises:
            UsageError: If a name or value is unknown, a name is missing or repeated, or the combination not allowed.
        """
        chosen: dict[str, Scalar] = {}
        for part in str(text).split(","):
            key, equals, value = (piece.strip() for piece in part.partition("="))
            if not equals:
                raise UsageError(f"'{part}' is no choice; architectures of {self.name} are written {self._example()}")
            if key not in self.choices:
                raise unknown(f"choice of {self.name}", key, self._keys)
            if key in chosen:
                raise UsageError(f"'{key}' is chosen twice in '{text}'")
            written = self._written[self._keys.index(key)]
            if value not in written:
                raise unknown(f"value of {key} in {self.name}", value, written)
            chosen[key] = written[value]
        architecture = NamedChoices.from_params(self, chosen)
        for key in chosen.keys() - self.choice(architecture).keys():
            raise self._without(key)
        return architecture

    def format(self, architecture: Choices) -> str:
        """Returns ``name=value,name=value`` in the order of the choices."""
        self.validate(architecture)
        return self._plain(architecture)

    def distributions(self) -> dict[str, BaseDistribution]:
        """Returns one Optuna distribution a choice: an ``IntDistribution`` of a range, else a categorical one."""
        return {key: distribution_of(self._integers.get(key, options)) for key, options in self.choices.items()}

    def to_params(self, architecture: Choices) -> dict[str, Any]:
        """Returns ``{choice: value}`` of all choices; the first option of those that do not exist."""
        self.validate(architecture)
        chosen = self.choice(architecture)
        return {key: chosen.get(key, options[0]) for key, options in self.choices.items()}

    def from_params(self, params: Mapping[str, Any]) -> Choices:
        """Returns the architecture with these values; those of choices that do not exist are passed over.

        Raises:
            UsageError: If a choice is missing or unknown, or the combination is not allowed.
        """
        for key in params:
            if key not in self.choices:
                raise unknown(f"choice of {self.name}", key, self._keys)
        values: list[Any] = []
        missing = []
        for place, (key, options, position) in enumerate(zip(self._keys, self._options, self._position, strict=True)):
            value = params.get(key)
            if self._tree is not None and not self._tree.exists(place, values):
                value = None
            elif key not in params:
                missing.append(key)
            elif isinstance(value, Hashable) and value in position:
                value = options[position[value]]
            values.append(value)
        if missing:
            raise UsageError(f"{', '.join(missing)} not chosen; an architecture of {self.name} needs every choice")
        architecture = tuple(values)
        self.validate(architecture)
        return architecture

    def _allowed(self, architecture: Choices) -> bool:
        if self._allows is None:
            return True
        try:
            return bool(self._allows(self.choice(architecture)))
        except Exception as error:  # whatever a user's function raises
            hint = "; choices that do not exist are missing from what it gets" if isinstance(error, KeyError) else ""
            raise UsageError(
                f"is_valid of {self.name} fails for {self._plain(architecture)}: {type(error).__name__}: {error}{hint}"
            ) from error

    def _without(self, key: str) -> UsageError:
        assert self._tree is not None
        return UsageError(f"{key} exists in {self.name} only where {self._tree.reason(key)}; leave it out")

    def _plain(self, architecture: Choices) -> str:
        return ",".join(f"{key}={value}" for key, value in self.choice(architecture).items())

    def _example(self) -> str:
        first = [options[0] for options in self._options]
        if self._tree is not None:
            first = list(self._tree.settled(first, lambda place: first[place]))
        return f"like '{self._plain(tuple(first))}'"
