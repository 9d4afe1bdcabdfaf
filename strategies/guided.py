"""Predictor-guided proposals: any strategy searches against a scoring function, its best unseen finds are proposed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nasx.search_spaces.space import SearchSpace
from nasx.strategies.base import Strategy

Score = Callable[[Sequence[Hashable]], np.ndarray]
Allowed = Callable[[Hashable], bool]
Key = Callable[[Hashable], str]
"""What tells an architecture from others; of those that share one, only one is ever proposed."""

_PATIENCE = 50
_SHORTLIST = 16_384  # more than any strategy looks at by default, so that only larger searches forget


@dataclass(frozen=True)
class Proposal:
    """An architecture to evaluate next.

    Attributes:
        architecture: The architecture.
        key: What tells it from others, mostly its canonical key; no two evaluated architectures share one.
        predicted: What the scoring function said of it, in the objective's unit; NaN where nobody asked it.
        predictions: The same where there are several goals, one value each; empty where nobody asked.
    """

    architecture: Hashable
    key: str
    predicted: float = float("nan")
    predictions: tuple[float, ...] = ()


def propose(
    strategy: Strategy,
    score: Score,
    n: int,
    *,
    evaluated: Sequence[Hashable],
    seen: Collection[str],
    exploration: float = 0.1,
    candidates: int | None = None,
    allowed: Allowed | None = None,
) -> tuple[list[Proposal], int]:
    """Lets a fresh strategy search against a predictor and proposes the best architectures not evaluated yet.

    1. The strategy starts from what is already evaluated (with its predicted scores) and looks at ``candidates``
       architectures, asking the scoring function for their values in large batches. They stream by: only the best
       16,384 or so are remembered, so that a million candidates take no more memory than twenty thousand.
    2. The best-scored ones whose canonical key is new are proposed.
    3. A share of ``exploration`` is drawn at random from the space instead: it keeps the predictor honest where it has
       seen nothing.

    Args:
        strategy: A fresh strategy over the space.
        score: Architectures -> ``(n,)`` predicted values.
        n: How many proposals are wanted.
        evaluated: Architectures with a known value.
        seen: Canonical keys that must not be proposed again.
        exploration: Share of random proposals, between 0 and 1.
        candidates: How many architectures to score; ``strategy.inner_candidates`` by default, no more than
            ``space.inner_candidates``.
        allowed: Says which architectures may be proposed (a table may not hold them all); None allows every one.

    Returns:
        The proposals (fewer than ``n`` only where the space has no more) and the number of functional duplicates that
        would have been among them.
    """
    sign = 1.0 if strategy.direction == "maximize" else -1.0
    shortlist = _Shortlist(_SHORTLIST + 20 * n + len(evaluated), sign)
    _search(strategy, score, evaluated, candidates or _candidates(strategy), shortlist)
    ranked, scores = shortlist.ranked(), shortlist.scores
    explore = min(n, round(exploration * n))
    taken, avoided = _first_unseen(
        strategy.space.canonical_key, ranked, n - explore, set(seen), set(evaluated), allowed
    )
    proposals = [Proposal(architecture, key, scores[architecture]) for key, architecture in taken.items()]
    missing = n - len(proposals)
    random, more = unseen(strategy.space, strategy.rng, missing, {*seen, *taken}, allowed)
    if random:
        predicted = score([p.architecture for p in random])
        proposals += [Proposal(p.architecture, p.key, float(v)) for p, v in zip(random, predicted, strict=True)]
    return proposals, avoided + more


def unseen(
    space: SearchSpace,
    rng: np.random.Generator,
    n: int,
    seen: Collection[str],
    allowed: Allowed | None = None,
    key: Key | None = None,
) -> tuple[list[Proposal], int]:
    """Samples ``n`` different architectures whose key is not in ``seen``.

    Args:
        space: The search space.
        rng: Draws them.
        n: How many.
        seen: Keys that must not be proposed.
        allowed: Says which architectures may be proposed; None allows every one.
        key: What tells architectures from each other; the space's canonical key by default, which functional twins
            share.

    Returns:
        The proposals, and the number of duplicates drawn on the way. Fewer than ``n`` where a small space is used up.
    """
    key = key or space.canonical_key
    fresh: dict[str, Hashable] = {}
    avoided = 0
    for _ in range(_PATIENCE):
        wanted = n - len(fresh)
        if wanted <= 0:
            break
        found, more = _first_unseen(key, space.samples(wanted, rng), wanted, {*seen, *fresh}, set(), allowed)
        fresh |= found
        avoided += more
    if len(fresh) < n and space.size is not None and space.size <= 100_000:
        everything = [space.architecture(int(i)) for i in rng.permutation(space.size)]
        fresh |= _first_unseen(key, everything, n - len(fresh), {*seen, *fresh}, set(), allowed)[0]
    return [Proposal(architecture, name) for name, architecture in fresh.items()], avoided


def ask_unseen(
    strategy: Strategy, n: int, known: dict[str, Any], allowed: Allowed | None = None, key: Key | None = None
) -> tuple[list[Proposal], int]:
    """Asks a strategy until it has proposed ``n`` new architectures.

    A proposal that equals an evaluated one is not evaluated again: the strategy is told the value that is known.

    Args:
        strategy: The strategy; it is told the values of duplicates.
        n: How many proposals are wanted.
        known: Key -> what the strategy is told: the value (NaN where the evaluation failed) of everything
            evaluated, a row of values where there are several goals.
        allowed: Says which architectures may be proposed; None allows every one.
        key: What tells architectures from each other; the space's canonical key by default.

    Returns:
        The proposals (fewer than ``n`` only where the space has no more) and the number of duplicates avoided.
    """
    key = key or strategy.space.canonical_key
    fresh: dict[str, Hashable] = {}
    avoided = 0
    for _ in range(_PATIENCE):
        if len(fresh) == n:
            break
        for architecture in strategy.ask(n - len(fresh)):
            if allowed is not None and not allowed(architecture):
                continue
            name = key(architecture)
            if name in known:
                strategy.tell([architecture], [known[name]])
            if name in known or name in fresh:
                avoided += 1
            else:
                fresh[name] = architecture
    proposals = [Proposal(architecture, name) for name, architecture in fresh.items()]
    if len(proposals) < n:
        random, more = unseen(strategy.space, strategy.rng, n - len(proposals), {*known, *fresh}, allowed, key)
        proposals, avoided = proposals + random, avoided + more
    return proposals, avoided


class _Shortlist:
    """The best of many scored architectures, in the order they were met.

    Args:
        keep: How many to remember at least; up to twice as many are held between two clearings.
        sign: 1 where large scores are good, -1 where small ones are.
    """

    def __init__(self, keep: int, sign: float) -> None:
        self.keep, self.sign = keep, sign
        self.scores: dict[Hashable, float] = {}

    def add(self, scores: dict[Hashable, float]) -> None:
        self.scores.update(scores)
        if len(self.scores) > 2 * self.keep:
            fitness = self.sign * np.fromiter(self.scores.values(), float, len(self.scores))
            best = np.zeros(len(fitness), bool)
            best[np.argsort(-fitness, kind="stable")[: self.keep]] = True
            self.scores = {a: v for (a, v), good in zip(self.scores.items(), best, strict=True) if good}

    def ranked(self) -> list[Hashable]:
        """Best first; those with equal scores in the order they were met."""
        return sorted(self.scores, key=lambda architecture: -self.sign * self.scores[architecture])


def _candidates(strategy: Strategy) -> int:
    limit = strategy.space.inner_candidates
    return strategy.inner_candidates if limit is None else min(limit, strategy.inner_candidates)


def _search(
    strategy: Strategy, score: Score, evaluated: Sequence[Hashable], candidates: int, shortlist: _Shortlist
) -> None:
    """Runs the strategy against the score until it has looked at enough architectures, batch by batch."""

    def look_at(architectures: Sequence[Hashable]) -> list[float]:
        known = shortlist.scores
        new = [a for a in dict.fromkeys(architectures) if a not in known]
        fresh: dict[Hashable, float] = dict(zip(new, map(float, score(new)), strict=True)) if new else {}
        values = [fresh[a] if a in fresh else known[a] for a in architectures]
        shortlist.add(fresh)
        return values

    strategy.expect(candidates)
    if evaluated:
        strategy.warm_start(list(evaluated), look_at(evaluated))
    asked = 0
    while asked < candidates:
        architectures = strategy.ask(min(strategy.inner_batch, candidates))
        strategy.tell(architectures, look_at(architectures))
        asked += strategy.inner_batch


def _first_unseen(
    key: Key,
    ranked: Sequence[Hashable],
    n: int,
    seen: set[str],
    ignore: set[Hashable],
    allowed: Allowed | None,
) -> tuple[dict[str, Hashable], int]:
    """The first ``n`` architectures with a new key, and how many twins of seen ones stood before them."""
    taken: dict[str, Hashable] = {}
    avoided = 0
    for architecture in ranked:
        if len(taken) >= n:
            break
        if architecture in ignore or (allowed is not None and not allowed(architecture)):
            continue
        name = key(architecture)
        if name in seen or name in taken:
            avoided += 1
        else:
            taken[name] = architecture
    return taken, avoided
