"""Graphs of exported programs: which convolution meets the input, and graphs that are no such thing."""

import copy
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import HealthCheck, given, settings, strategies as st
from tests.filters.exported_programs import (
    CONFIG,
    GRAPH,
    Net,
    export,
    fails,
    read_or_refuse,
    rewritten,
    stem,
    weight_of,
)
from torch import nn

from firstlight.filters.formats.exported.reader import read_exported


def autocast(net: Net, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        x = (x - 0.5) * 2
    with torch.autocast("cpu", torch.bfloat16):
        x = net.get_submodule("conv")(x)
    return net.get_submodule("norm")(x.float())


def test_subgraphs_are_entered(tmp_path: Path):
    net = Net(autocast, conv=nn.Conv2d(3, 8, 3), norm=nn.BatchNorm2d(8))
    path = export(net, tmp_path / "net.pt2")
    with zipfile.ZipFile(path) as archive:
        assert b"wrap_with_autocast" in archive.read(f"net/{GRAPH}")
    bank = read_exported(path, "net.pt2")
    np.testing.assert_array_equal(bank.weight, weight_of(net, "conv.weight"))
    assert (bank.layer, bank.batch_norm) == ("conv", "norm")


def test_a_linear_branch_does_not_hide_the_convolution_on_the_image(tmp_path: Path):
    net = Net(
        lambda net, x: net.features(x) * net.gate(x.mean((2, 3)))[:, :4, None, None],
        gate=nn.Linear(3, 8),
        features=stem(),
    )
    assert read_exported(export(net, tmp_path / "net.pt2"), "net.pt2").layer == "features.0"


def test_hostile_graphs(exported: Path, tmp_path: Path):
    def change(edit: Callable[[dict[str, Any]], Any]) -> Path:
        return rewritten(exported, tmp_path / "net.pt2", {GRAPH: edit})

    def cycle(model: dict[str, Any]) -> None:  # the weight is a cast of itself
        nodes = model["graph_module"]["graph"]["nodes"]
        cast = {"target": "torch.ops.aten.to.dtype", "inputs": [], "outputs": [{"as_tensor": {"name": "loop"}}]}
        cast["inputs"] = [{"name": "self", "arg": {"as_tensor": {"name": "loop"}}, "kind": 1}]
        nodes[0]["inputs"][1]["arg"] = {"as_tensor": {"name": "loop"}}
        nodes.append(cast)

    def nest(model: dict[str, Any]) -> None:
        graph = model["graph_module"]["graph"]
        for _ in range(100):
            call = {"target": "torch.ops.higher_order.cond", "inputs": [], "outputs": []}
            call["inputs"] = [{"name": "", "arg": {"as_graph": {"name": "inner", "graph": dict(graph)}}}]
            graph["nodes"] = [call]

    def stride(model: dict[str, Any]) -> None:
        model["graph_module"]["graph"]["nodes"][0]["inputs"][3]["arg"] = {"as_ints": [10**30, "x"]}

    def unsigned(model: dict[str, Any]) -> None:
        model["graph_module"]["signature"]["input_specs"] = [{"user_input": {"arg": {"as_tensor": {"name": "x"}}}}]

    fails(change(cycle), "computed in the graph by to")
    fails(change(nest), "deep")
    fails(change(stride), "; expected a size")
    fails(change(unsigned), "computed in the graph")
    for value in ([], {}, None, "x", 3, {"graph_module": None}, {"graph_module": {"graph": []}}):
        fails(change(lambda _, value=value: value or {"": value}), "damaged")
    fails(rewritten(exported, tmp_path / "net.pt2", {GRAPH: b"[" * 5_000_000}), "nested too deeply")
    fails(rewritten(exported, tmp_path / "net.pt2", {GRAPH: b"\xff\xfe"}), "damaged")
    fails(rewritten(exported, tmp_path / "net.pt2", {GRAPH: b"1" * 100_000}), "damaged")


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.just([]) | st.just({})


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_json_of_any_other_shape_ends_in_one_line(exported: Path, tmp_path: Path, data: st.DataObject):
    member = data.draw(st.sampled_from([GRAPH, CONFIG]))

    def change(content: Any) -> Any:
        content = copy.deepcopy(content)
        place = content
        for _ in range(data.draw(st.integers(0, 9))):
            keys = sorted(place) if isinstance(place, dict) else range(len(place))
            inner = [key for key in keys if isinstance(place[key], dict | list) and place[key]]
            if not inner:
                break
            place = place[data.draw(st.sampled_from(inner))]
        keys = sorted(place) if isinstance(place, dict) else range(len(place))
        place[data.draw(st.sampled_from(list(keys)))] = data.draw(LEAVES)
        return content

    path = rewritten(exported, tmp_path / "net.pt2", {member: change})
    bank = read_or_refuse(path)
    assert bank is None or bank.weight.ndim == 4
