"""Ten families: the published networks are the published ones, random members are valid and run."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs the package onnx: pip install 'nasx[onnx]'")

from nasx.network_builder import NetworkBuilder, with_weights  # noqa: E402
from nasx.network_classic import SqueezeNet  # noqa: E402
from nasx.network_families import (  # noqa: E402
    CONFIG_KEY,
    FAMILIES,
    FAMILY_KEY,
    Family,
    Member,
    published,
    random_members,
)
from nasx.network_mobile import MobileNetV3  # noqa: E402
from nasx.network_residual import NASBench201Net, ResNet  # noqa: E402
from nasx.network_scale import SCALES, channels  # noqa: E402
from nasx.search_spaces.errors import UsageError  # noqa: E402
from nasx.search_spaces.onnx_network import read_network  # noqa: E402

# of torchvision's definitions, without auxiliary classifiers
PARAMETERS: dict[str, tuple[Family, int, str]] = {
    "alexnet": (FAMILIES["alexnet"](), 61_100_840, "alexnet"),
    "vgg": (FAMILIES["vgg"](), 138_357_544, "vgg16"),
    "googlenet": (FAMILIES["googlenet"](), 6_624_904, "googlenet"),
    "resnet": (FAMILIES["resnet"](), 11_689_512, "resnet18"),
    "resnet50": (ResNet.fifty(), 25_557_032, "resnet50"),
    "squeezenet": (FAMILIES["squeezenet"](), 1_248_424, "squeezenet1_0"),
    "squeezenet1.1": (SqueezeNet.version_1_1(), 1_235_496, "squeezenet1_1"),
    "mobilenetv2": (FAMILIES["mobilenetv2"](), 3_504_872, "mobilenet_v2"),
    "mobilenetv3": (FAMILIES["mobilenetv3"](), 5_483_032, "mobilenet_v3_large"),
    "mobilenetv3-small": (MobileNetV3.small(), 2_542_856, "mobilenet_v3_small"),
    "mnasnet": (FAMILIES["mnasnet"](), 4_383_312, "mnasnet1_0"),
    "efficientnet": (FAMILIES["efficientnet"](), 5_288_548, "efficientnet_b0"),
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_defaults_have_the_published_parameters(name: str) -> None:
    configuration, parameters, _ = PARAMETERS[name]
    member = Member("any", name, configuration)
    net, _ = member.build()
    read = read_network(member.model())
    assert net.parameters == read.parameters == parameters
    assert net.macs == read.macs
    assert read.unknown_shapes == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", PARAMETERS)
def test_defaults_cost_what_torchvision_says(models: Any, name: str) -> None:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    configuration, parameters, theirs = PARAMETERS[name]
    options = {"aux_logits": False, "init_weights": False} if theirs == "googlenet" else {}
    with torch.device("meta"):
        module = getattr(models, theirs)(**options).eval()
        with FlopCounterMode(display=False) as counter:
            module(torch.zeros(1, 3, 224, 224))
    assert sum(value.numel() for value in module.parameters()) == parameters
    assert counter.get_total_flops() == 2 * Member("any", name, configuration).build()[0].macs


def test_nasbench201_is_the_network_of_the_benchmark() -> None:
    """Parameters and multiply-adds of the torch network whose numbers agree with the benchmark's in all cells."""
    from nasx.cell_networks import build_network
    from nasx.onnx_export import to_onnx

    cell = NASBench201Net().cell
    module = build_network(cell, "nasbench201")
    theirs = read_network(to_onnx(module, (1, 3, 32, 32)))
    ours = read_network(published("nasbench201").model())
    assert (ours.parameters, ours.macs) == (theirs.parameters, theirs.macs)


def test_dead_parts_of_a_cell_are_left_out() -> None:
    kinds = ("none", "skip_connect", "nor_conv_3x3", "none", "nor_conv_1x1", "avg_pool_3x3")
    network = read_network(Member("nasbench201", "x", NASBench201Net(kinds, cells=1)).model())
    kernels = [layer.window["kernel_height"] for layer in network.layers if layer.operation == "Conv"]
    assert kernels == [3, 3, 3, 1, 3, 3, 1]  # the stem and two reductions: nothing of the cell's convolutions
    with pytest.raises(UsageError, match="hands nothing on"):
        NASBench201Net(("none",) * 6).build(NetworkBuilder(32))


@pytest.mark.parametrize("family", FAMILIES)
def test_random_members_are_valid_and_run(family: str) -> None:
    runtime = pytest.importorskip("onnxruntime", reason="needs the package onnxruntime")
    limits = SCALES["small"]
    for member in random_members([family], 2, seed=1):
        model = member.model()
        onnx.checker.check_model(model, full_check=True)
        network = read_network(model)
        assert limits.macs[0] <= network.macs <= limits.macs[1]
        assert network.unknown_shapes == 0
        assert {entry.key: entry.value for entry in model.metadata_props}[FAMILY_KEY] == family
        assert len(model.SerializeToString()) < 200_000
        session = runtime.InferenceSession(with_weights(model).SerializeToString())
        given = session.get_inputs()[0]
        (logits,) = session.run(None, {given.name: np.ones(given.shape, dtype=np.float32)})
        assert logits.shape == (1, member.configuration.classes)  # type: ignore[attr-defined]
        assert np.isfinite(logits).all()
        assert logits.std() > 0


def test_draws_are_repeatable_different_and_do_not_depend_on_their_number() -> None:
    few = list(random_members(["vgg", "mnasnet"], 2, seed=3))
    many = list(random_members(["mnasnet"], 4, seed=3))
    assert few[2:] == many[:2]
    assert len({member.configuration for member in many}) == 4
    assert next(iter(random_members(["mnasnet"], 1, seed=4))) != many[0]


def test_folding_keeps_what_is_computed() -> None:
    plain, folded = (Member("x", "x", ResNet(resolution=32), folded) for folded in (False, True))
    kinds = [[layer.operation for layer in read_network(one.model()).layers] for one in (plain, folded)]
    assert [kind for kind in kinds[0] if kind != "BatchNormalization"] == kinds[1]
    assert kinds[0].count("BatchNormalization") == 20
    assert plain.build()[0].macs == folded.build()[0].macs
    assert json.loads({e.key: e.value for e in folded.model().metadata_props}[CONFIG_KEY])["folded"] is True


def test_batches_and_scales() -> None:
    member = next(iter(random_members(["resnet"], 1, scale="imagenet", batch_size=4)))
    network = read_network(member.model())
    assert network.inputs == {"images": (4, 3, 224, 224)}
    assert network.macs == member.build()[0].macs
    assert [channels(width) for width in (7, 12, 17, 30)] == [8, 16, 16, 32]


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: published("lenet"), "unknown family of networks 'lenet'"),
        (lambda: list(random_members(["lenet"], 1)), "unknown family of networks"),
        (lambda: list(random_members(None, 1, scale="huge")), "unknown scale 'huge'; known: imagenet, small"),
        (lambda: Member("x", "x", FAMILIES["alexnet"](resolution=32)).build(), "does not fit into"),
    ],
)
def test_what_does_not_exist_is_said(ask: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ask()  # type: ignore[operator]
