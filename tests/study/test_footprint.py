"""Seconds and energy: measured in turn, without a word, a file or a packet. No test looks at how large they are."""

import socket

import pandas as pd
import pytest

from study import footprint


def test_runs_are_measured_in_turn_and_in_silence(monkeypatch, tmp_path, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(socket.socket, "connect", lambda *args: pytest.fail(f"connects to {args[1:]}"))
    order = []
    runs = {name: lambda name=name: order.append(name) or sum(range(10**5)) for name in ("one", "two")}
    costs = footprint.compare(runs, repeats=2)
    assert order == ["one", "two", "two", "one"] == costs.run.tolist()
    assert costs.repeat.tolist() == [0, 0, 1, 1]
    measured = costs[["seconds", "processor_seconds", "processor_kwh", "memory_kwh", "kg"]]
    assert measured.notna().all(axis=None) and (measured >= 0).all(axis=None) and (costs.seconds > 0).all()
    assert not list(tmp_path.iterdir()) and capfd.readouterr() == ("", "")


def test_carbon_is_that_of_the_grid_of_the_country():
    run = {"one": lambda: sum(range(10**6))}
    for country in ("IND", "NOR"):
        costs = footprint.compare(run, 1, country)
        intensity = costs.kg / (costs.processor_kwh + costs.memory_kwh)
        assert intensity.between(*{"IND": (0.5, 0.9), "NOR": (0.0, 0.1)}[country]).all()


@pytest.mark.parametrize("country", ["India", "XXX", "ind", ""])
def test_unknown_countries_are_refused_before_anything_runs(country):
    with pytest.raises(ValueError, match=f"country='{country}' is unknown; allowed: three-letter codes.*IND"):
        footprint.compare({"one": lambda: pytest.fail("ran")}, country=country)


def test_no_repeats_are_refused():
    with pytest.raises(ValueError, match="repeats=0 is not allowed"):
        footprint.compare({"one": lambda: pytest.fail("ran")}, repeats=0)


def test_ratios_are_within_a_round_and_medians_over_rounds():
    costs = pd.DataFrame(
        [("a", 0, 1.0), ("b", 0, 2.0), ("a", 1, 10.0), ("b", 1, 30.0), ("a", 2, 1.0), ("b", 2, 9.0)],
        columns=["run", "repeat", "seconds"],
    )
    assert footprint.ratios(costs, "a").seconds.to_dict() == {"a": 1.0, "b": 3.0}


def test_power_is_counted_or_modelled():
    assert footprint.power_source() in ("counter", "model")
