"""Graphs of Keras models: branches, layers by name, and graphs that are circular, deep or dense."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from tests.filters.keras_models import archive, fails, functional, kernel, node

from firstlight.errors import InputError, SourceError
from firstlight.filters.formats.keras.graph import KerasGraph
from firstlight.filters.formats.keras.model import read_in_process


@pytest.mark.parametrize("kind", ["keras", "h5"])
def test_branches_operations_and_layers_by_name(keras_models: Path, kind: str):
    path = keras_models / f"branches.{kind}"
    bank = read_in_process(path, "net.keras")
    shown = {"a": "a Conv2D 4 of 3 x 3", "c": "c Conv2D 6 of 5 x 5", "d": "d Conv2D 2 of 1 x 1"}
    np.testing.assert_array_equal(bank.weight, kernel(keras_models, "branches", bank.layer))
    assert {shown[bank.layer], *bank.alternatives} == set(shown.values())  # not e, which comes behind them
    bank = read_in_process(path, "net.keras", "a")
    np.testing.assert_array_equal(bank.weight, kernel(keras_models, "branches", "a"))
    assert (bank.groups, bank.padding, bank.weight.shape) == (2, (1, 1), (4, 2, 3, 3))
    fails(path, "'nothing'", "does not have", "c Conv2D 6 of 5 x 5", layer="nothing", error=InputError)
    fails(path, "gate", "is no convolution", layer="gate", error=InputError)


def test_circular_deep_and_dense_graphs_end(keras_models: Path, tmp_path: Path):
    with zipfile.ZipFile(keras_models / "chain.keras") as real:
        weights = real.read("model.weights.h5")

    def refused(model: dict[str, Any], *parts: str) -> None:
        fails(archive(tmp_path / "net.keras", json.dumps(model).encode(), weights), *parts)

    circle = [node("input", "InputLayer"), node("a", "ReLU", "b", "input"), node("b", "ReLU", "a")]
    refused(functional("model", *circle), "no Conv2D is reached")
    refused(
        functional("model", node("input", "InputLayer"), node("c", "Conv2D", "c")), "no Conv2D is reached", "c Conv2D"
    )
    deep = functional("model", node("input", "InputLayer"))
    for _ in range(50):
        deep = functional("model", node("input", "InputLayer"), deep, feeding="input")
    refused(deep, "deep")
    wide = [node(f"n{n}", "ReLU") for n in range(1500)]
    many = functional("many", node("input", "InputLayer"), *wide)
    many["config"]["output_layers"] = many["config"]["input_layers"] = [[one["name"], 0, 0] for one in wide]
    again = many | {"name": "again", "inbound_nodes": [[["many", 0, 0, {}]]]}
    refused(functional("model", node("input", "InputLayer"), many, again), "connections")
    odd = node("c", "Conv2D", "input", strides=["x", None])
    refused(functional("model", node("input", "InputLayer"), odd), "")


KINDS = st.sampled_from(["InputLayer", "ReLU", "Conv2D", "Dense", "Custom", "Lambda", "Add"])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(KINDS, st.lists(st.integers(0, 9), max_size=3)), min_size=1, max_size=10))
def test_the_first_convolution_of_any_graph_has_a_way_from_the_input(layers: list[tuple[str, list[int]]]):
    model = functional(
        "model",
        *(node(f"n{n}", kind, *(f"n{one}" for one in feeding)) for n, (kind, feeding) in enumerate(layers)),
        inputs="n0",
    )
    graph = KerasGraph(model)

    def reachable(index: int, seen: frozenset[int]) -> bool:
        """Whether the input comes here through layers that pass it on, going backwards by definition."""
        if index == 0:
            return True
        feeding = [one for one in layers[index][1] if one < len(layers) and one not in seen]
        passing = [one for one in feeding if layers[one][0] not in ("Conv2D", "Dense", "Custom")]
        return any(reachable(one, seen | {index}) for one in passing)

    try:
        chosen, _ = graph.first()
    except SourceError:
        return
    assert layers[int(chosen.name[1:])][0] == "Conv2D"
    assert reachable(int(chosen.name[1:]), frozenset())
