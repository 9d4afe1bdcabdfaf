"""Real architectures: FLOPs and parameters against torch's own counter on torchvision's definitions.

Files come from three tools: the two exporters of torch, and the models of the package onnx's own backend tests.
Torch counts on the meta device, so that nothing is computed.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import pytest

onnx = pytest.importorskip("onnx", reason="needs the package onnx: pip install 'nasx[onnx]'")

import torch  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn.attention import SDPBackend, sdpa_kernel  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from nasx.search_spaces.onnx_network import OnnxNetwork, read_network  # noqa: E402

# name of torchvision's definition: its arguments, side of the image. Capital letters: small members of a family
EXPORTED: dict[str, tuple[dict[str, Any], int]] = {
    "ConvNeXt": ({"block_setting": [(24, 48, 2), (48, None, 2)]}, 32),
    "DenseNet": ({"growth_rate": 8, "block_config": (3, 4, 4)}, 32),
    "SwinTransformer": (
        {"patch_size": [4, 4], "embed_dim": 24, "depths": [2, 2], "num_heads": [2, 4], "window_size": [4, 4]},
        32,
    ),
    "VisionTransformer": (
        {"image_size": 32, "patch_size": 8, "num_layers": 2, "num_heads": 2, "hidden_dim": 32, "mlp_dim": 64},
        32,
    ),
    "efficientnet_b0": ({}, 32),
    "googlenet": ({"aux_logits": False, "init_weights": False}, 32),
    "mnasnet0_5": ({}, 32),
    "mobilenet_v2": ({}, 33),
    "mobilenet_v3_small": ({}, 40),
    "regnet_y_400mf": ({}, 32),
    "resnet18": ({}, 32),
    "shufflenet_v2_x0_5": ({}, 32),
    "squeezenet1_1": ({}, 32),
}
LARGER: dict[str, tuple[dict[str, Any], int]] = {
    "convnext_tiny": ({}, 32),
    "densenet121": ({}, 32),
    "inception_v3": ({"aux_logits": False, "init_weights": False}, 75),
    "mobilenet_v3_large": ({}, 32),
    "regnet_x_400mf": ({}, 32),
    "resnext50_32x4d": ({}, 32),
    "swin_t": ({}, 32),
}
BACKEND_TESTS = {
    "light_densenet121": "densenet121",
    "light_resnet50": "resnet50",
    "light_squeezenet": "squeezenet1_1",
    "light_vgg19": "vgg19",
}


def definition(models: Any, name: str, options: dict[str, Any]) -> nn.Module:
    if name[0].isupper():
        if name == "ConvNeXt":
            setting = models.convnext.CNBlockConfig
            options = {"block_setting": [setting(*block) for block in options["block_setting"]]}
        return getattr(models, name)(**options).eval()
    return models.get_model(name, weights=None, **options).eval()


def counted(network: nn.Module, side: int) -> tuple[int, int]:
    """FLOPs and parameters, as torch counts them."""
    on_meta = network.to("meta")
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        on_meta(torch.zeros(1, 3, side, side, device="meta"))
    return counter.get_total_flops(), sum(parameter.numel() for parameter in network.parameters())


def exported(network: nn.Module, side: int) -> OnnxNetwork:
    """Through torch's older exporter, nothing folded; random values, since it merges weights that are equal."""
    with torch.no_grad():
        for tensor in [*network.parameters(), *network.buffers()]:
            if tensor.is_floating_point():
                tensor.uniform_(0.5, 1.5)
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (torch.zeros(1, 3, side, side),),
            file,
            dynamo=False,
            opset_version=17,
            do_constant_folding=False,
            training=torch.onnx.TrainingMode.PRESERVE,
        )
    model = onnx.load_model_from_string(file.getvalue())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return read_network(model)


def check(models: Any, name: str, options: dict[str, Any], side: int) -> None:
    network = definition(models, name, options)
    read = exported(network, side)
    assert (read.flops, read.parameters) == counted(network, side)
    assert read.unknown_shapes == 0
    graph = read.graph()
    assert graph.pruned() == graph


@pytest.mark.parametrize("name", EXPORTED)
def test_architectures_of_torchvision(models: Any, name: str) -> None:
    check(models, name, *EXPORTED[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGER)
def test_larger_architectures_of_torchvision(models: Any, name: str) -> None:
    check(models, name, *LARGER[name])


@pytest.mark.parametrize("file", BACKEND_TESTS)
def test_models_of_the_onnx_backend_tests(models: Any, file: str) -> None:
    path = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light" / f"{file}.onnx"
    if not path.exists():
        pytest.skip(f"this version of the package onnx comes without {path.name}")
    with torch.device("meta"):
        network = definition(models, BACKEND_TESTS[file], {})
    read = read_network(path)
    flops, parameters = counted(network, 224)
    assert read.flops == flops
    if file != "light_densenet121":  # Caffe's has scales and shifts beside its normalisations
        assert read.parameters == parameters


def test_all_light_models_of_the_backend_tests_are_graphs() -> None:
    folder = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
    for path in folder.glob("*.onnx"):
        graph = read_network(path).graph()
        assert graph.pruned() == graph
        assert "other" not in graph.operations


@pytest.mark.slow
@pytest.mark.parametrize("optimize", [True, False])
def test_the_newer_exporter(optimize: bool) -> None:
    pytest.importorskip("onnxscript", reason="torch's newer exporter needs onnxscript: pip install onnxscript")
    encoder = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    network = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.Hardswish(), nn.MaxPool2d(2),
        nn.Flatten(2), nn.Linear(16, 16), encoder, nn.ConvTranspose1d(16, 4, 2, 2),
    ).eval()  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(network, (torch.rand(2, 3, 8, 8),), dynamo=True, optimize=optimize, verbose=False)
    read = read_network(program.model_proto)
    torch.backends.mha.set_fastpath_enabled(False)  # whose operators torch's counter does not know
    try:
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            network(torch.rand(2, 3, 8, 8))
    finally:
        torch.backends.mha.set_fastpath_enabled(True)
    assert read.flops == counter.get_total_flops()
    assert read.unknown_shapes == 0
    parameters = sum(parameter.numel() for parameter in network.parameters())
    if optimize:  # normalisations are fused into convolutions, equal weights merged
        assert read.parameters < parameters
    else:
        assert read.parameters == parameters
