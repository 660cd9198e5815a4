"""Graphs of jobs that the measurements of whole runs share: for each id, what it waits for."""

from __future__ import annotations

import random
from collections.abc import Mapping
from itertools import pairwise

Edges = Mapping[str, list[str]]


def fan(middle: int = 1000) -> Edges:
    """1 -> `middle` -> 1."""
    ids = [f"shard-{number:04}" for number in range(middle)]
    return {"split": [], **{id: ["split"] for id in ids}, "join": ids}


def layers(wide: int = 100) -> Edges:
    """20 layers, each so wide; a job waits for 1-3 of the layer before."""
    dice = random.Random(20)
    edges: dict[str, list[str]] = {}
    before: list[str] = []
    for layer in range(20):
        ids = [f"layer-{layer:02}-{number:03}" for number in range(wide)]
        edges |= {id: sorted(dice.sample(before, dice.randint(1, 3))) if before else [] for id in ids}
        before = ids
    return edges


def chain(links: int = 500) -> Edges:
    """Jobs each after the one before."""
    ids = [f"link-{number:03}" for number in range(links)]
    return {ids[0]: [], **{id: [before] for before, id in pairwise(ids)}}
