"""Predictors: estimators that guess the value of a network from its graph.

>>> [name for name, _ in available()] # doctest: +NORMALIZE_WHITESPACE
['nar-former-v2', 'nar-former-v2-paper', 'nn-former', 'nar-former-v1', 'tnasp', 'gcn', 'nnlp', 'gates', \
'bananas', 'trees', 'lightgbm', 'xgboost', 'gaussian-process', 'layer-costs', 'kind-costs', 'flops', 'flops-macs']
>>> make_predictor("trees", trees=50)
TreeEnsemble(trees=50, max_features=0.5, min_samples_leaf=1, as_written=False, seed=0, direction='maximize')
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasx.search_spaces.errors import UsageError, unknown
from nasx.search_spaces.plugins import Plugins, is_address, made

if TYPE_CHECKING:
    from nasx.predictors.base import Predictor

# Small networks make many short parallel sections. By default OpenMP's threads spin between them, and wherever another
# process wants the same cores that slows fitting down a hundredfold (measured: 113 s instead of 1.1 s). Sleeping
# threads do not. This is read once, when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__all__ = [
    "PREDICTORS",
    "Entry",
    "available",
    "available_losses",
    "load_predictor",
    "make_predictor",
    "register_predictor",
    "registered_classes",
]


@dataclass(frozen=True)
class Entry:
    """A registered predictor."""

    target: str
    """Where its class is: "module:Class"."""
    line: str
    """What it is, in one line."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """Constructor parameters that the name stands for."""


PREDICTORS: dict[str, Entry] = {
    "nar-former-v2": Entry(
        "nasx.predictors.nar_former_v2_predictor:NARFormerV2",
        "graph transformer with a ranking loss, quick on a CPU (Yi et al., NeurIPS 2023, improved); "
        "nar-former-v2:paper, :paper-networks, :network, :network-paper",
    ),
    "nar-former-v2-paper": Entry(
        "nasx.predictors.nar_former_v2_predictor:NARFormerV2",
        "the same exactly as published: 8.6 million parameters, hours on a CPU",
        {"preset": "paper"},
    ),
    "nn-former": Entry(
        "nasx.predictors.nn_former:NNFormer",
        "transformer that attends to neighbours and siblings (Xu et al., CVPR 2025); nn-former:features, :paper, "
        ":described, :network",
    ),
    "nar-former-v1": Entry(
        "nasx.predictors.nar_former_v1:NARFormer",
        "transformer over a token sequence, multi-stage fusion (Yi et al., CVPR 2023); nar-former-v1:paper",
    ),
    "tnasp": Entry(
        "nasx.predictors.tnasp:TNASP", "transformer with Laplacian positions (Lu et al., NeurIPS 2021); tnasp:paper"
    ),
    "gcn": Entry(
        "nasx.predictors.gcn:GCN",
        "graph convolutions (BRP-NAS, Dudziak et al., NeurIPS 2020); gcn:paper, gcn:neural-predictor",
    ),
    "nnlp": Entry("nasx.predictors.nnlp:NNLP", "GraphSAGE layers (NNLQP, Liu et al., ICPP 2022); nnlp:paper, :network"),
    "gates": Entry(
        "nasx.predictors.gates:GATES", "information flow gated by operations (Ning et al., ECCV 2020); gates:paper"
    ),
    "bananas": Entry(
        "nasx.predictors.bananas:BANANAS",
        "ensemble of perceptrons over the path encoding (White et al., AAAI 2021); bananas:features, bananas:paper",
    ),
    "trees": Entry("nasx.predictors.baselines:TreeEnsemble", "extremely randomised trees over path and count features"),
    "lightgbm": Entry(
        "nasx.predictors.boosting:LightGBM", "boosted trees over path and count features (package lightgbm)"
    ),
    "xgboost": Entry(
        "nasx.predictors.boosting:XGBoost", "boosted trees over path and count features (package xgboost)"
    ),
    "gaussian-process": Entry(
        "nasx.predictors.baselines:GaussianProcess", "Gaussian process over path and count features"
    ),
    "layer-costs": Entry(
        "nasx.predictors.layer_costs:LayerCosts",
        "latency of whole networks: what each layer computes and moves, at rates learned from its attributes, added up",
    ),
    "kind-costs": Entry(
        "nasx.predictors.kind_costs:KindCosts",
        "latency of whole networks: one rate for each kind of layer, added up, and trees on what is left over",
    ),
    "flops": Entry("nasx.predictors.linear_costs:LinearCosts", "latency of whole networks: a line through their FLOPs"),
    "flops-macs": Entry(
        "nasx.predictors.linear_costs:LinearCosts",
        "latency of whole networks: linear in FLOPs and memory access (baseline of NNLQP, Liu et al., ICPP 2022)",
        {"costs": "flops,memory_bytes"},
    ),
}
"""Every predictor of nasx itself by name; `register_predictor` adds one of your own."""

CORRECTIONS = (Entry("nasx.predictors.adapted:Adapted", "another predictor, adapted with a few measurements"),)
"""Classes that are made from a fitted predictor, and so are no names to choose from."""

ALIASES = {"random-forest": "trees"}

PLUGINS = Plugins("predictor", "nasx.predictors", PREDICTORS, reserved=[*ALIASES, "none"])
"""Predictors that others have added; see `nasx.search_spaces.plugins`."""


def register_predictor(name: str, factory: type[Predictor] | Predictor | str, line: str | None = None) -> None:
    """Makes a predictor of your own known by name to everything in this program.

    Args:
        name: The name; registering it again replaces what it stood for.
        factory: A subclass of `nasx.predictors.base.Predictor`, a function that makes a predictor, an unfitted
            predictor to be copied, or the address of one of these: `"my_package.my_module:MyPredictor"`, imported when
            it is first needed.
        line: What it is, in one line; by default the first line of its documentation.

    Raises:
        UsageError: If the name belongs to a predictor of nasx itself, or is none.

    >>> register_predictor("many-trees", make_predictor("trees", trees=500), "trees, and many of them")
    >>> make_predictor("many-trees", seed=3)
    TreeEnsemble(trees=500, max_features=0.5, min_samples_leaf=1, as_written=False, seed=3, direction='maximize')
    >>> PLUGINS.unregister("many-trees")
    """
    PLUGINS.register(name, factory, line)


def available() -> list[tuple[str, str]]:
    """Every predictor: its name and what it is in one line; the line of a plug-in says where it comes from."""
    return [*((name, entry.line) for name, entry in PREDICTORS.items()), *PLUGINS.listing()]


def available_losses() -> list[tuple[str, str]]:
    """Every loss that torch predictors take as `loss=`: its name and what it is in one line."""
    from nasx.predictors.loss_table import LOSS_TABLE

    return [(name, recipe.line) for name, recipe in LOSS_TABLE.items()]


def make_predictor(name: str, **params: Any) -> Predictor:
    """Makes an unfitted predictor.

    Args:
        name: A registered name; "name:preset" chooses one of its presets. Or where to import a predictor of your own
            from: "my_package.my_module:MyPredictor". Settings may follow: "trees,trees=500" is a parameter,
            "nar-former-v2:paper,epochs=30" an option of the preset.
        **params: Constructor parameters, for example `seed=1` or `loss="list_mle"` (see `available_losses`).

    Raises:
        UsageError: If there is no such predictor, or it has no such parameter.

    >>> make_predictor("nnlp:paper,epochs=3,batch_size=8").options
    {'epochs': 3, 'batch_size': 8}
    """
    name, *settings = name.split(",")
    base, _, preset = name.partition(":")
    base = ALIASES.get(base, base)
    if base not in PREDICTORS:
        return _make_plugin(name, base, preset, settings, params)
    entry = PREDICTORS[base]
    kind = _class_of(entry)
    if preset:
        if "preset" not in kind._parameter_names():
            raise UsageError(f"predictor '{base}' has no presets; write '{base}' alone")
        params = {"preset": preset, **params}
    params = _parameters(base, settings, {**entry.params, **params}, kind._parameter_names())
    return kind(**params)


def load_predictor(folder: str | Path) -> Predictor:
    """Reads a predictor that was saved into a folder.

    Raises:
        NasxError: If the folder holds none, or one that is damaged or newer than this nasx.
    """
    from nasx.predictors.base import Predictor

    return Predictor.load(folder)


def registered_classes() -> list[type[Predictor]]:
    """The classes of all registered predictors; a plug-in that cannot be made is left out."""
    classes = [_class_of(entry) for entry in (*PREDICTORS.values(), *CORRECTIONS)]
    for name in PLUGINS.names():
        with suppress(UsageError):
            found = PLUGINS.find(name)
            classes.append(found if isinstance(found, type) else type(make_predictor(name)))
    return list(dict.fromkeys(classes))


def _make_plugin(name: str, base: str, preset: str, settings: Sequence[str], params: Mapping[str, Any]) -> Predictor:
    """A predictor that others have added, with these parameters."""
    from sklearn.base import clone

    from nasx.predictors.base import Predictor

    if base in PLUGINS.names():
        factory = PLUGINS.find(base)
        params = {"preset": preset, **params} if preset else params
    else:
        try:
            factory = PLUGINS.find(name if is_address(name) else base)
        except UsageError as error:
            if preset and base.isidentifier() and isinstance(error.__cause__, ModuleNotFoundError):
                # "tnas:paper" is more likely a slip of the pen than a module
                raise UsageError(f"{unknown('predictor', base, [*PREDICTORS, *PLUGINS.names()])}; {error}") from error
            raise
    if isinstance(factory, type) and issubclass(factory, Predictor):
        params = _parameters(name, settings, params, factory._parameter_names())  # type: ignore[attr-defined]
        return made(factory, Predictor, "predictor", name, lambda kind: kind(**params))  # type: ignore[type-abstract]
    prototype = made(factory, Predictor, "predictor", name)  # type: ignore[type-abstract]
    return clone(prototype).set_params(**_parameters(name, settings, params, prototype.get_params()))


def _parameters(
    name: str, settings: Iterable[str], params: Mapping[str, Any], known: Collection[str]
) -> dict[str, Any]:
    """Given parameters, and those that a predictor's name sets; a setting that is no parameter is an option.

    >>> _parameters("nnlp", ["epochs=30", "schedule=cosine"], {"seed": 3}, ["seed", "options"])
    {'seed': 3, 'options': {'epochs': 30, 'schedule': 'cosine'}}
    """
    found = dict(params)
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not (key and equals):
            raise UsageError(
                f"'{setting}' is no setting of a predictor; write name,field=value, for example trees,trees=9"
            )
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        if key not in known and "options" in known:
            given = found.get("options") or {}
            found["options"] = given if key in given else {**given, key: value}
        else:
            found.setdefault(key, value)
    for param in found:
        if param not in known:
            raise unknown(f"parameter of predictor '{name}'", param, known)
    return found


def _class_of(entry: Entry) -> type[Predictor]:
    module, _, name = entry.target.partition(":")
    return getattr(import_module(module), name)  # type: ignore[no-any-return]


def __getattr__(name: str) -> Any:
    """Imports the contract and the predictors' classes only when they are asked for."""
    if name == "Predictor":
        from nasx.predictors.base import Predictor

        return Predictor
    for entry in (*PREDICTORS.values(), *CORRECTIONS):
        if entry.target.endswith(f":{name}"):
            return _class_of(entry)
    raise AttributeError(f"module 'nasx.predictors' has no attribute '{name}'")
