"""What a computation costs: seconds, energy, carbon. None of it comes out the same twice."""

import logging
import time

import pandas as pd
from codecarbon import OfflineEmissionsTracker
from codecarbon.core import cpu
from codecarbon.input import DataSource


def power_source():
    """Where codecarbon has its watts from: "counter" (RAPL) of the processor, or "model", of its load and design power.

    Virtual machines have no counter.
    """
    return "counter" if cpu.is_rapl_available() else "model"


def _tracker(country):
    logging.getLogger("codecarbon").setLevel(logging.CRITICAL)  # it logs before it reads log_level
    return OfflineEmissionsTracker(
        country_iso_code=country, output_methods=[], emissions_endpoint=None, log_level="critical",
        tracking_mode="process", measure_power_secs=1, allow_multiple_runs=True,
    )  # fmt: skip


def compare(runs, repeats=3, country="IND"):
    """Run each of several computations a number of times, in turn, and measure what it takes.

    Parameters
    ----------
    runs : {name: callable without arguments}
        Run once each beforehand if the first run compiles.
    repeats : int
    country : str
        ISO 3166 code of three letters, for the carbon of the grid. Nothing is asked over the network, and nothing
        is written to disk.

    Returns
    -------
    DataFrame, one row a run and repeat: run, repeat, seconds (wall), processor_seconds, processor_kwh and memory_kwh
    (codecarbon: of this process, with its share of the load, and of the machine's memory), kg (CO₂ equivalent).

    Raises
    ------
    ValueError
        For a country that codecarbon has no figures for, or no repeats.
    """
    known = DataSource().get_global_energy_mix_data()
    if country not in known:
        raise ValueError(f"country={country!r} is unknown; allowed: three-letter codes, {', '.join(sorted(known))}")
    if repeats < 1:
        raise ValueError(f"repeats={repeats!r} is not allowed; give a whole number of at least 1")
    rows = []
    for repeat in range(repeats):
        # Every other time backwards, so that a machine that slows down or speeds up favours none
        for name in list(runs)[:: -1 if repeat % 2 else 1]:
            tracker = _tracker(country)
            tracker.start()
            wall, processor = time.perf_counter(), time.process_time()
            runs[name]()
            wall, processor = time.perf_counter() - wall, time.process_time() - processor
            kg, used = tracker.stop(), tracker.final_emissions_data
            rows.append(dict(run=name, repeat=repeat, seconds=wall, processor_seconds=processor,
                             processor_kwh=used.cpu_energy, memory_kwh=used.ram_energy, kg=kg))  # fmt: skip
    return pd.DataFrame(rows)


def ratios(costs, base):
    """Each run over the run `base` of the same repeat, median over the repeats: DataFrame by run, one column a cost."""
    table = costs.set_index(["repeat", "run"])
    relative = table / table.xs(base, level="run").reindex(table.index, level="repeat")
    return relative.groupby("run", sort=False).median()
