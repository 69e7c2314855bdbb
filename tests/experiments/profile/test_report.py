"""Tables are made of the figures, as ratios to LIIF."""

import json

from histoscale.experiments.profile.measure import Cost, Times
from histoscale.experiments.profile.report import (
    Machine,
    ModelCosts,
    Profile,
    as_json,
    label,
    markdown,
    tables,
)


def cost(encode: float, decode: float, peak: float | None) -> Cost:
    return Cost(Times(2 * encode, encode), Times(2 * decode, decode), peak)


def test_tables_are_ratios_to_liif() -> None:
    rows = (
        ModelCosts("liif", 2**20, {2304: cost(1, 1, 100), None: cost(1, 2, None)}, []),
        ModelCosts("iste", 10**6, {2304: cost(1, 5, 250)}, [(None, "no memory")]),
    )
    memory, whole, decoding = (
        table.texts() for table in tables(Profile(Machine("a machine", "cpu", "fp32", 1, 96, 2), rows))
    )
    assert memory == [
        ["model", "parameters / 10^6", "parameters / 2^20", "48^2", "grid"],
        ["liif", "1.05", "1.00", "100 (1.00)", "-"],
        ["iste", "1.00", "0.95", "250 (2.50)", "-"],
    ]
    assert whole[2] == ["iste", "12 / 6 (3.00)", "-"]
    assert decoding[2] == ["iste", "10 / 5 (5.00)", "-"]


def test_on_a_gpu_the_clock_counts() -> None:
    found = Profile(
        Machine("a card", "cuda:0", "bf16", 1, 96, 1), (ModelCosts("liif", 1, {1000: cost(1, 1, 1)}, []),)
    )
    assert tables(found)[1].texts()[1] == ["liif", "4 (1.00)"]
    assert "a card, bf16" in markdown(found)
    assert json.loads(as_json(found))["models"][0]["costs"]["1000"]["peak_mib"] == 1


def test_query_sizes_are_named_as_in_table_8() -> None:
    assert [label(q) for q in (2304, 36_864, 30_000, None)] == ["48^2", "192^2", "30000", "grid"]
