"""Which tiny Transformer writes best? Character by character, on the sonnets at the end of this file.

Seven sonnets of Shakespeare are what there is to learn; the eighth decides between architectures and the ninth, which
nothing has seen before, judges the winner. What is minimised is the cross-entropy in bits a character: how many
yes-or-no questions the network has to ask for the next letter. Every network is trained for the same 300 steps, which
take some seconds.

    python char_transformer.py          # in this folder; some minutes on two CPU cores
    python char_transformer.py --quick  # a few tiny trainings, to see it run

The space is a function that makes a torch module. nasx traces it into a graph of operations by itself.
"""

from __future__ import annotations

import argparse
import functools
import math
import time
from typing import Any

import torch
from torch import Tensor, nn

import nasx

CONTEXT, BATCH, STEPS = 48, 24, 300


class Transformers(nasx.ChoiceSpace):
    """Tiny Transformers: layers, width, heads, feed-forward, where the norms stand, how places are known."""

    def __init__(self) -> None:
        super().__init__(
            "char-transformer",
            {
                "layers": range(1, 4),
                "width": [16, 32, 48],
                "heads": [1, 2, 4],
                "feed_forward": [1, 2, 4],
                "activation": ["relu", "gelu"],
                "norm": ["before", "after"],
                "places": ["learned", "waves", "none"],
                "tied": [True, False],
            },
            Transformer,
            example=torch.zeros(1, CONTEXT, dtype=torch.long),
        )


class Transformer(nn.Module):
    """Characters ``(B, T)`` to the logits of the next ones ``(B, T, characters)``; Vaswani et al., 2017."""

    def __init__(self, chosen: dict[str, Any]) -> None:
        super().__init__()
        width = chosen["width"]
        self.symbols = nn.Embedding(len(alphabet()), width)
        nn.init.normal_(self.symbols.weight, std=0.1)
        learned = nn.Parameter(0.1 * torch.randn(CONTEXT, width)) if chosen["places"] == "learned" else None
        self.register_parameter("learned", learned)
        self.register_buffer("waves", waves(width) if chosen["places"] == "waves" else None)
        self.blocks = nn.ModuleList(Block(chosen) for _ in range(chosen["layers"]))
        self.norm = nn.LayerNorm(width) if chosen["norm"] == "before" else nn.Identity()
        self.out = nn.Linear(width, len(alphabet()), bias=False)
        if chosen["tied"]:
            self.out.weight = self.symbols.weight

    def forward(self, text: Tensor) -> Tensor:
        """Computes the logits."""
        x = self.symbols(text)
        places = self.learned if self.learned is not None else self.waves
        if places is not None:
            x = x + places[: text.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.out(self.norm(x))


class Block(nn.Module):
    """Attention to what came before, then a feed-forward network; ``(B, T, width)``."""

    def __init__(self, chosen: dict[str, Any]) -> None:
        super().__init__()
        width, self.heads, self.before = chosen["width"], chosen["heads"], chosen["norm"] == "before"
        self.attend, self.join = nn.Linear(width, 3 * width), nn.Linear(width, width)
        inner = width * chosen["feed_forward"]
        activation = nn.ReLU() if chosen["activation"] == "relu" else nn.GELU()
        self.feed = nn.Sequential(nn.Linear(width, inner), activation, nn.Linear(inner, width))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """Computes the block."""
        for part, norm in zip((self.attention, self.feed), self.norms, strict=True):
            x = x + part(norm(x)) if self.before else norm(x + part(x))
        return x

    def attention(self, x: Tensor) -> Tensor:
        """Causal attention with several heads."""
        parts = [part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.attend(x).chunk(3, dim=-1)]
        return self.join(nn.functional.scaled_dot_product_attention(*parts, is_causal=True).transpose(1, 2).flatten(-2))


def waves(width: int) -> Tensor:
    """Sines and cosines of the place, ``(CONTEXT, width)``."""
    rates = torch.exp(-math.log(10_000.0) * torch.arange(0, width, 2) / width)
    angles = torch.arange(CONTEXT)[:, None] * rates
    return 0.1 * torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)


@functools.cache
def alphabet() -> str:
    """All characters of the text."""
    return "".join(sorted(set(SONNETS)))


@functools.cache
def texts() -> dict[str, Tensor]:
    """The sonnets as numbers ``(n,)``: to train on, to choose with, to judge by."""
    sonnets = [sonnet.strip() + "\n\n" for sonnet in SONNETS.strip().split("\n\n")]
    code = {character: number for number, character in enumerate(alphabet())}
    parts = {"training": sonnets[:-2], "validation": sonnets[-2:-1], "aside": sonnets[-1:]}
    return {name: torch.tensor([code[character] for character in "".join(part)]) for name, part in parts.items()}


def train(model: nn.Module, *, steps: int, seed: int = 0) -> nn.Module:
    """Trains a network on random pieces of the text with AdamW, a warm-up and a cosine."""
    text, generator = texts()["training"], torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=5e-3, total_steps=max(2, steps), pct_start=0.1)
    for _ in range(steps):
        starts = torch.randint(len(text) - CONTEXT, (BATCH, 1), generator=generator)
        pieces = text[starts + torch.arange(CONTEXT + 1)]
        loss = nn.functional.cross_entropy(model(pieces[:, :-1]).flatten(0, 1), pieces[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return model.eval()


def bits(model: nn.Module, part: str) -> float:
    """Bits a character on a part of the text, read piece by piece."""
    text = texts()[part]
    count = (len(text) - 1) // CONTEXT * CONTEXT
    with torch.no_grad():
        logits = model(text[:count].view(-1, CONTEXT))
        return nn.functional.cross_entropy(logits.flatten(0, 1), text[1 : count + 1]).item() / math.log(2)


def validation_bits(architecture: Any, *, steps: int = STEPS, seed: int = 0, part: str = "validation") -> float:
    """The objective: bits a character on the eighth sonnet after training on the first seven."""
    torch.manual_seed(seed)
    return bits(train(Transformers().network(architecture), steps=steps, seed=seed), part)


def main(budget: int = 30, initial: int = 12, steps: int = STEPS, predictor: str = "trees") -> Any:
    """Searches, and compares the winner with a plain Transformer on the last sonnet, over three seeds."""
    torch.set_num_threads(1)  # networks this small are quickest on one core
    space, start = Transformers(), time.perf_counter()
    objective = functools.partial(validation_bits, steps=steps)
    result = nasx.search(
        space, objective, direction="minimize", predictor=predictor, budget=budget, initial=initial, batch=6, seed=0
    )
    print(f"{result.evaluations} of {space.size:,} Transformers trained in {time.perf_counter() - start:.0f} s")
    plain = "layers=2,width=32,heads=2,feed_forward=4,activation=gelu,norm=before,places=learned,tied=True"
    for name, architecture in (("found", result.best), ("plain", space.parse(plain))):
        scores = [validation_bits(architecture, steps=steps, seed=seed, part="aside") for seed in range(3)]
        print(f"{name}: {sum(scores) / 3:.3f} bits a character on the last sonnet  {space.format(architecture)}")
    return result


# William Shakespeare, Sonnets 18, 29, 30, 55, 60, 65, 73, 106 and 116 (1609), in the public domain.
SONNETS = """
Shall I compare thee to a summer's day?
Thou art more lovely and more temperate:
Rough winds do shake the darling buds of May,
And summer's lease hath all too short a date:
Sometime too hot the eye of heaven shines,
And often is his gold complexion dimm'd;
And every fair from fair sometime declines,
By chance or nature's changing course untrimm'd;
But thy eternal summer shall not fade
Nor lose possession of that fair thou owest;
Nor shall Death brag thou wander'st in his shade,
When in eternal lines to time thou growest:
So long as men can breathe or eyes can see,
So long lives this and this gives life to thee.

When, in disgrace with fortune and men's eyes,
I all alone beweep my outcast state
And trouble deaf heaven with my bootless cries
And look upon myself and curse my fate,
Wishing me like to one more rich in hope,
Featured like him, like him with friends possess'd,
Desiring this man's art and that man's scope,
With what I most enjoy contented least;
Yet in these thoughts myself almost despising,
Haply I think on thee, and then my state,
Like to the lark at break of day arising
From sullen earth, sings hymns at heaven's gate;
For thy sweet love remember'd such wealth brings
That then I scorn to change my state with kings.

When to the sessions of sweet silent thought
I summon up remembrance of things past,
I sigh the lack of many a thing I sought,
And with old woes new wail my dear time's waste:
Then can I drown an eye, unused to flow,
For precious friends hid in death's dateless night,
And weep afresh love's long since cancell'd woe,
And moan the expense of many a vanish'd sight:
Then can I grieve at grievances foregone,
And heavily from woe to woe tell o'er
The sad account of fore-bemoaned moan,
Which I new pay as if not paid before.
But if the while I think on thee, dear friend,
All losses are restored and sorrows end.

Not marble, nor the gilded monuments
Of princes, shall outlive this powerful rhyme;
But you shall shine more bright in these contents
Than unswept stone besmear'd with sluttish time.
When wasteful war shall statues overturn,
And broils root out the work of masonry,
Nor Mars his sword nor war's quick fire shall burn
The living record of your memory.
'Gainst death and all-oblivious enmity
Shall you pace forth; your praise shall still find room
Even in the eyes of all posterity
That wear this world out to the ending doom.
So, till the judgment that yourself arise,
You live in this, and dwell in lovers' eyes.

Like as the waves make towards the pebbled shore,
So do our minutes hasten to their end;
Each changing place with that which goes before,
In sequent toil all forwards do contend.
Nativity, once in the main of light,
Crawls to maturity, wherewith being crown'd,
Crooked eclipses 'gainst his glory fight,
And Time that gave doth now his gift confound.
Time doth transfix the flourish set on youth
And delves the parallels in beauty's brow,
Feeds on the rarities of nature's truth,
And nothing stands but for his scythe to mow:
And yet to times in hope my verse shall stand,
Praising thy worth, despite his cruel hand.

Since brass, nor stone, nor earth, nor boundless sea,
But sad mortality o'er-sways their power,
How with this rage shall beauty hold a plea,
Whose action is no stronger than a flower?
O, how shall summer's honey breath hold out
Against the wreckful siege of battering days,
When rocks impregnable are not so stout,
Nor gates of steel so strong, but Time decays?
O fearful meditation! where, alack,
Shall Time's best jewel from Time's chest lie hid?
Or what strong hand can hold his swift foot back?
Or who his spoil of beauty can forbid?
O, none, unless this miracle have might,
That in black ink my love may still shine bright.

That time of year thou mayst in me behold
When yellow leaves, or none, or few, do hang
Upon those boughs which shake against the cold,
Bare ruin'd choirs, where late the sweet birds sang.
In me thou see'st the twilight of such day
As after sunset fadeth in the west,
Which by and by black night doth take away,
Death's second self, that seals up all in rest.
In me thou see'st the glowing of such fire
That on the ashes of his youth doth lie,
As the death-bed whereon it must expire,
Consumed with that which it was nourish'd by.
This thou perceivest, which makes thy love more strong,
To love that well which thou must leave ere long.

When in the chronicle of wasted time
I see descriptions of the fairest wights,
And beauty making beautiful old rhyme
In praise of ladies dead and lovely knights,
Then, in the blazon of sweet beauty's best,
Of hand, of foot, of lip, of eye, of brow,
I see their antique pen would have express'd
Even such a beauty as you master now.
So all their praises are but prophecies
Of this our time, all you prefiguring;
And, for they look'd but with divining eyes,
They had not skill enough your worth to sing:
For we, which now behold these present days,
Have eyes to wonder, but lack tongues to praise.

Let me not to the marriage of true minds
Admit impediments. Love is not love
Which alters when it alteration finds,
Or bends with the remover to remove:
O no! it is an ever-fixed mark
That looks on tempests and is never shaken;
It is the star to every wandering bark,
Whose worth's unknown, although his height be taken.
Love's not Time's fool, though rosy lips and cheeks
Within his bending sickle's compass come:
Love alters not with his brief hours and weeks,
But bears it out even to the edge of doom.
If this be error and upon me proved,
I never writ, nor no man ever loved.
"""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Tiny Transformers on sonnets: bits a character.")
    parser.add_argument("--budget", type=int, default=30, help="networks that are trained")
    parser.add_argument("--quick", action="store_true", help="a few tiny trainings")
    arguments = parser.parse_args()
    if arguments.quick:
        main(budget=5, initial=3, steps=5)
    else:
        main(budget=arguments.budget, initial=min(12, arguments.budget))
