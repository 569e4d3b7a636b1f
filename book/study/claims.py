"""The ledger: every claim of the paper, how it was tested, what came out, and a verdict that follows from it.

Verdicts are functions of saved results and of `margins`, nothing else: `ledger` reads the files of `results` and
applies one of the tests below to each claim. `python -m study.claims FOLDER` writes the table in the README.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.multitest import multipletests

from legc_utils import protocols
from study import margins, paper, results

VERDICTS = ("reproduced", "partly", "not reproduced", "not testable")
OUTCOMES = ("supported", "undecided", "contradicted", "too few")
BEYOND = "beyond"  # the section of rows that the paper does not claim, but its idea needs
TABLE = Path(__file__).parents[1] / "claims.csv"


# The tests. Each takes one number a seed and returns effect, low, high, n, p and outcome.


def _finding(values, level, outcome, p=np.nan, least=2):
    effect, low, high = results.interval(values, level)
    decided = outcome(low, high) if len(values) >= least else "too few"
    return dict(effect=effect, low=low, high=high, n=len(values), p=p, outcome=decided)


def _clean(values):
    values = np.asarray(values, dtype=np.float64)
    return values[~np.isnan(values)]


def equivalence(differences, margin):
    """Two one-sided tests (Schuirmann 1987): is the mean difference within ±margin?

    differences : float (n,), paired, NaN left out. The interval is the one that decides, of level 1 − 2·LEVEL.

    Returns
    -------
    dict of effect (mean), low, high, n, p (NaN) and outcome: supported if the interval lies inside ±margin,
    contradicted if it lies outside, undecided otherwise, and "too few" below `margins.LEAST` differences.
    """

    def outcome(low, high):
        if low > -margin and high < margin:
            return "supported"
        return "contradicted" if low > margin or high < -margin else "undecided"

    return _finding(_clean(differences), 1 - 2 * margins.LEVEL, outcome, least=margins.LEAST)


def superiority(differences):
    """One-sided paired t-test: is the mean difference above zero?

    Returns a dict as `equivalence`, with p and the interval of level 1 − LEVEL. The outcome is supported if p < LEVEL,
    which `correct` tightens for the number of tests; contradicted if the whole interval lies below zero; undecided
    otherwise, and "too few" below `margins.LEAST` differences.
    """
    d = _clean(differences)
    if len(d) < 2:
        p = np.nan
    elif (
        np.ptp(d) <= 1e-12 * np.abs(d).max()
    ):  # equal but for rounding, so no t statistic: a sign test, all on one side
        p = 0.5 ** len(d) if d[0] > 0 else 1.0
    else:
        p = stats.ttest_1samp(d, 0, alternative="greater").pvalue

    def outcome(low, high):
        if p < margins.LEVEL:
            return "supported"
        return "contradicted" if high < 0 else "undecided"

    return _finding(d, 1 - margins.LEVEL, outcome, p, margins.LEAST)


def at_least(values, floor):
    """Is the mean at least `floor`? Supported if the interval's lower end is, contradicted if its upper end is not."""

    def outcome(low, high):
        return "supported" if low >= floor else "contradicted" if high < floor else "undecided"

    return _finding(_clean(values), 1 - margins.LEVEL, outcome)


def near(values, margin):
    """One comparison without an interval: (found − printed, allowed); the larger of the two margins decides."""
    (difference, allowed) = values
    outcome = "supported" if abs(difference) <= max(margin, allowed) + 1e-9 else "contradicted"
    return dict(effect=difference, low=np.nan, high=np.nan, n=1, p=np.nan, outcome=outcome)


def correct(found):
    """Holm's correction over all superiority tests of a ledger: `found` with column p_holm and outcomes to match."""
    found = found.assign(p_holm=np.nan)
    tested = found.p.notna()
    if tested.any():
        found.loc[tested, "p_holm"] = multipletests(found.p[tested], margins.LEVEL, "holm")[1]
        lost = tested & (found.outcome == "supported") & ~(found.p_holm < margins.LEVEL)
        found.loc[lost, "outcome"] = "undecided"
    return found


def verdict(outcomes, most="reproduced"):
    """What the outcomes on all data sets add up to.

    outcomes : sequence of `OUTCOMES`, one a data set
    most : str
        The best verdict that the test can give: "partly" for a necessary condition that proves less than the claim.

    Returns
    -------
    str: "reproduced" if every data set supports the claim, "partly" if some do, "not reproduced" if none does, "not
    testable" without outcomes. Data sets with "too few" seeds do not count.
    """
    if unknown := set(outcomes) - set(OUTCOMES):
        raise ValueError(f"outcome={sorted(unknown)[0]!r} is unknown; allowed: {', '.join(OUTCOMES)}")
    outcomes = [o for o in outcomes if o != "too few"]
    if not outcomes:
        return "not testable"
    supported = outcomes.count("supported")
    if supported == 0:
        return "not reproduced"
    return most if supported == len(outcomes) else "partly"


# The measurements. Each takes `rows`, a function from a notebook's name to its saved rows for one data set and
# protocol, and returns one number a seed.


def _by_seed(rows, notebook, column):
    table = rows(notebook)
    return table.pivot_table(index="seed", columns="model", values=column, dropna=False)


def _difference(model, base, column, notebook="04_ft_vs_pt"):
    def measure(rows):
        wide = _by_seed(rows, notebook, column)  # several random masks a seed: their mean
        return wide[model] - wide[base]

    return measure


def _epochs(rows):
    """Epochs to the benchmark, counted from 1, by seed and model. A network that does not get there in time counts as
    the last epoch, a lower bound; seeds where no network does are left out."""
    wide = _by_seed(rows, "04_ft_vs_pt", "epoch") + 1
    return wide.fillna(rows("04_ft_vs_pt").epochs_allowed.iloc[0]).where(wide.notna().any(axis=1), axis=0)


def _faster(rows):
    epochs = _epochs(rows)
    return epochs["dense"] - epochs["FT"]


def _half(rows):
    epochs = _epochs(rows)
    return margins.HALF - epochs["FT"] / epochs["dense"]


def _relative(table):
    return table["PT"] / table["FT"] - 1


def _ticket(rows):
    accuracy, epochs = _by_seed(rows, "04_ft_vs_pt", "accuracy"), _epochs(rows)
    won = (accuracy["FT"] >= accuracy["dense"]) & (epochs["FT"] < epochs["dense"])
    return won.astype(float).where(epochs["dense"].notna()) - 0.5


def _cheaper(rows):
    """Share of the dense network's training that PT saves: weights × epochs, the first epochs of PT included."""
    first, epochs, weights = rows("04_ft_vs_pt").iloc[0], _epochs(rows), _by_seed(rows, "04_ft_vs_pt", "weights")
    spent = first.partial_epochs * weights["dense"] + epochs["PT"] * weights["PT"]
    return 1 - spent / (epochs["dense"] * weights["dense"])


def _overfit(rows):
    gap = _by_seed(rows, "04_ft_vs_pt", "train_accuracy") - _by_seed(rows, "04_ft_vs_pt", "accuracy")
    return gap["FT"] - gap["dense"]


def _causal(rows):
    full = rows("03_granger_pruning").query("variant == 'FT'")
    return full.causal_percent - full.causal_percent_noise


def _agreement(model, base=None):
    """Spearman agreement with the dense parent, over that of `base`, or of the dense networks of other seeds."""

    def measure(rows):
        wide = _by_seed(rows, "06_diagnostics", "spearman")
        return wide[model] - (wide[base] if base else wide["dense, other seed"].mean())

    return measure


def _trained_layers(rows, column):
    found = rows("07_weightwatcher").query("model in ('dense', 'FT', 'PT')")
    return found.assign(value=column(found)).groupby("seed").value.mean()


def _inside(found):
    return found.alpha.between(margins.ALPHA_LOW, margins.ALPHA_HIGH)


def _falls(rows):
    """Minus the slope of log distance against log width, at a fixed share of pruned weights, one a draw."""
    part = rows("08_approximation").query("regime == 'share' and how == 'random'")
    logs = np.log(part.pivot_table(index="width", columns="draw", values="distance"))
    return -np.polyfit(np.log(logs.index), logs.to_numpy(), 1)[0]


def _silent(rows):
    found = rows("02_windowed_le").query("series in ('white noise', 'random walk', 'trend with 1 % noise')")
    return 1 - found.share_positive


def _printed(model, column):
    def measure(rows):
        table = rows("04_ft_vs_pt")
        printed = paper.printed(table.dataset.iloc[0]).loc[model, column]
        five = table[table.seed.isin(sorted(table.seed.unique())[:5]) & (table.model == model)][column]
        return five.max() - printed, 1 / table.test_samples.iloc[0] + 0 * printed  # NaN where nothing is printed

    return measure


def _ranked_above_noise(rows):
    found = rows("10_chaos").query("kind == 'setting' and name == 'as published'")
    return found.groupby("seed").value.mean() - 0.5


def _training_map(rows):
    return rows("10_chaos").query("kind == 'map' and name == 'SGD'")


def _true_exponent(rows):
    """Of the training map at the data set's own rate, second half, nats per million iterates."""
    found = _training_map(rows)
    own = protocols.get("published", found.dataset.iloc[0]).rate
    return found[np.isclose(found.rate, own)].groupby("seed").tangent.mean() * 1e6


def _follows_truth(rows):
    found = _training_map(rows).groupby("seed")
    return found.apply(lambda part: stats.spearmanr(part.windowed, part.tangent).statistic)


def _called_causal(rows, against, rule="published"):
    found = rows("11_causality")
    found = found[(found.kind == "share") & (found.rule == rule) & (found.against == against)]
    return found.groupby("seed").value.mean()


def _own_error_only(rows):
    return _called_causal(rows, "own error") - _called_causal(rows, "another run's error")


def _knockout(statistic, base=None, how="retrained"):
    def measure(rows):
        found = rows("11_causality")
        found = found[(found.kind == "knockout") & (found.against == how)].set_index(["rule", "seed"]).value
        return found[statistic] - (found[base] if base else 0)

    return measure


def _advantage(method, base=None):
    """Accuracy over random masks, averaged over sparsities, in points; over that of `base` if given."""

    def measure(rows):
        wide = (
            rows("12_chance")
            .query("kind == 'advantage'")
            .pivot_table(index="seed", columns="method", values="accuracy")
        )
        if method not in wide:  # networks with several hidden layers have no ranking by unit
            return []
        return wide[method] - (wide[base] if base else 0)

    return measure


def _loses(check):
    def measure(rows):
        found = rows("12_chance").query("kind == 'sanity' and ranking == 'FT'")
        wide = found.pivot_table(index="seed", columns="method", values="accuracy")
        return 100 * (wide["as it is"] - wide[check])

    return measure


def _on_own(notebook, over, quantity="points", sign=1):
    """LEGC's ranking against another on a network of chapters 14 to 16, averaged over sparsities."""

    def measure(rows):
        found = rows(notebook).query("kind == 'advantage' and by == 'weights' and method == 'LEGC'")
        return sign * found[found["over"] == over].groupby("seed")[quantity].mean()

    return measure


@dataclass(frozen=True)
class Claim:
    """One row of the ledger.

    key, section : str; says : the claim in our words; tested : how, in words; page : notebook#heading
    test : the test function; measure : from `rows` to one number a seed; margin : of the test, if it takes one
    on : data sets, None for all that the notebook ran on; most : see `verdict`
    A claim without a measure is not testable; `tested` says why.
    """

    key: str
    section: str
    says: str
    tested: str
    page: str = ""
    test: object = None
    measure: object = None
    margin: float | None = None
    on: tuple | None = None
    most: str = "reproduced"


_PAIRS, _RANKS, _SHAP = "04_ft_vs_pt#pair-by-pair", "05_baselines#a-rank-among-random-masks", "06_diagnostics"
_SHAP += "#how-consistent-is-consistent"
_TRUTH, _ADVANTAGE = "10_chaos#the-truth-the-map-itself", "12_chance#the-advantage-over-chance"
CLAIMS = [
    # abstract and section 1.1
    Claim("performance", "abstract, 1.1, 5", "A pruned network (FT) performs as well as the dense one.",
          "accuracy, FT − dense, equivalent", _PAIRS, equivalence, _difference("FT", "dense", "accuracy"),
          margins.ACCURACY),
    Claim("performance_f1", "5", "The same in F1.", "macro F1, FT − dense, equivalent", _PAIRS, equivalence,
          _difference("FT", "dense", "f1"), margins.F1),
    Claim("partial", "1.1", "A few epochs of training are enough to find a mask (PT) that performs as well.",
          "accuracy, PT − dense, equivalent", _PAIRS, equivalence, _difference("PT", "dense", "accuracy"),
          margins.ACCURACY),
    Claim("explained", "abstract, 5.1, 6", "FT keeps the importance of the features.",
          "Spearman agreement with the dense parent, above that between dense networks of other seeds", _SHAP,
          superiority, _agreement("FT")),
    Claim("explained_partial", "1.1, 5.1", "PT keeps it too.", "the same for PT", _SHAP, superiority,
          _agreement("PT")),
    Claim("causality", "1.1, 2.2", "Weight updates and misclassification are causally related.",
          "weights called causal by FT, in points above series shuffled in time; a necessary condition only",
          "03_granger_pruning#what-noise-would-get", superiority, _causal, most="partly"),
    Claim("random_alike", "1.1", "LEGCNet compares well with random pruning.",
          "accuracy, FT − mean of random masks, equivalent", _RANKS, equivalence,
          _difference("FT", "random", "accuracy", "05_baselines"), margins.ACCURACY),
    Claim("magnitude_alike", "1.1", "LEGCNet compares well with magnitude pruning.",
          "accuracy, FT − magnitude, equivalent", _RANKS, equivalence,
          _difference("FT", "magnitude", "accuracy", "05_baselines"), margins.ACCURACY),
    Claim("flops", "1.1, 5", "LEGCNet saves FLOPs, counted as remaining weights.", "per cent of weights pruned by FT",
          "04_ft_vs_pt#five-models-all-seeds-at-once", superiority,
          lambda rows: _by_seed(rows, "04_ft_vs_pt", "pruned_percent")["FT"]),
    Claim("flops_real", "1.1, 5", "LEGCNet saves FLOPs, counted as operations.",
          "multiply–adds of a forward pass by torch's counter, dense − FT",
          "04_ft_vs_pt#five-models-all-seeds-at-once", superiority, _difference("dense", "FT", "multiply_adds")),
    Claim("generalises", "1.1", "Pruned networks are not over-trained and generalise.",
          "training minus test accuracy, FT − dense, equivalent", _PAIRS, equivalence, _overfit, margins.ACCURACY),
    Claim("optimisation", "abstract", "Pruning is formulated as an optimisation that minimises misclassification.",
          "no objective or optimiser is given: the weights are chosen by one test each"),
    # section 2
    Claim("positive_raw", "2.1, 3.6", "Exponents of the weight series are consistently positive.",
          "share of windows with a positive exponent, raw series", "01_sdic", at_least,
          lambda rows: rows("01_sdic").groupby("seed").le_raw_positive.mean(), margins.SHARE),
    Claim("positive_difference", "2.1, 3.4", "So are those of the difference series.", "the same, difference series",
          "01_sdic", at_least, lambda rows: rows("01_sdic").groupby("seed").le_difference_positive.mean(),
          margins.SHARE),
    Claim("marker", "2.2", "A positive exponent marks chaos.",
          "share of windows of noise, random walk and trend that are not positive",
          "02_windowed_le#what-else-does-the-estimator-call-positive", at_least, _silent, margins.SHARE),
    Claim("sensitive", "2.1", "Training depends sensitively on its initial weights.",
          "finite-time exponent of a nudge (nats per million iterates), median weight; a necessary condition only",
          "01_sdic", superiority, lambda rows: rows("01_sdic").groupby("seed").exponent_second_half.median(),
          most="partly"),
    Claim("weak_chaos", "2.2", "Weak chaos helps learning.", "cited from others; no experiment in the paper"),
    Claim("ticket", "2.3, 5, 6", "The mask is a winning ticket: no less accurate, in fewer epochs.",
          "share of seeds with both, less one half", _PAIRS, superiority, _ticket),
    # sections 3.5 and 4
    Claim("approximation", "3.5", "A wide enough network stays close to its dense parent.",
          "minus the slope of log distance over log width, fixed share", "08_approximation", superiority, _falls),
    Claim("exceeds", "4", "The accuracy of the sparse network exceeds that of the dense one.",
          "accuracy, FT − dense", _PAIRS, superiority, _difference("FT", "dense", "accuracy")),
    # section 5
    *[Claim(f"table1_{model}", "5, Table 1", f"The printed accuracy ({model}).",
            "best of the first five seeds − printed; within two points or one test sample",
            "04_ft_vs_pt#beside-the-paper", near, _printed(model, "accuracy"), margins.PRINTED)
      for model in ("dense", "FT")],
    Claim("faster", "1.1, 5", "FT converges significantly faster.", "epochs to the benchmark, dense − FT", _PAIRS,
          superiority, _faster),
    Claim("half", "5", "On titanic, vowel and cancer FT needs just half the epochs.",
          "six tenths minus the ratio of epochs", _PAIRS, superiority, _half, on=("titanic", "vowel", "cancer")),
    Claim("par_accuracy", "5", "PT performs at par with FT: accuracy.", "accuracy, PT − FT, equivalent", _PAIRS,
          equivalence, _difference("PT", "FT", "accuracy"), margins.ACCURACY),
    Claim("par_f1", "5", "PT performs at par with FT: F1.", "macro F1, PT − FT, equivalent", _PAIRS, equivalence,
          _difference("PT", "FT", "f1"), margins.F1),
    Claim("par_epochs", "5", "PT performs at par with FT: convergence.", "epochs, PT / FT − 1, equivalent", _PAIRS,
          equivalence, lambda rows: _relative(_epochs(rows)), margins.EPOCHS),
    Claim("par_flops", "5", "PT performs at par with FT: FLOPs.", "remaining weights, PT / FT − 1, equivalent",
          "04_ft_vs_pt#five-models-all-seeds-at-once", equivalence,
          lambda rows: _relative(_by_seed(rows, "04_ft_vs_pt", "weights")), margins.WEIGHTS),
    # section 5.1
    Claim("alpha", "5.1", "Alpha lies between 2 and 6 on every layer.", "share of layers of dense, FT and PT inside",
          "07_weightwatcher#table-4-with-its-uncertainty", at_least, lambda rows: _trained_layers(rows, _inside),
          margins.SHARE),
    Claim("heavy_tail", "5.1", "Spectra are heavy-tailed on every layer.",
          "share of layers with an eigenvalue beyond the shuffled spectrum; a necessary condition only",
          "07_weightwatcher", at_least, lambda rows: _trained_layers(rows, lambda f: f.beyond_shuffled > 0),
          margins.SHARE, most="partly"),
    Claim("trap", "5.1", "Layers show a correlation trap.",
          "share of layers whose shuffled spectrum exceeds Gaussian noise", "07_weightwatcher", at_least,
          lambda rows: _trained_layers(rows, lambda f: f.trap.astype(bool)), margins.SHARE),
    Claim("shap_random", "5.1, 6", "Random pruning does not keep feature importance as LEGCNet does.",
          "Spearman agreement, FT − random", _SHAP, superiority, _agreement("FT", "random")),
    Claim("shap_magnitude_keeps", "5.1", "Magnitude pruning keeps it on cancer, banknote and titanic.",
          "its agreement, above that of other seeds", _SHAP, superiority, _agreement("magnitude"),
          on=("cancer", "banknote", "titanic")),
    # section 6
    Claim("shap_magnitude", "6", "Magnitude pruning does not keep it as LEGCNet does.",
          "Spearman agreement, FT − magnitude", _SHAP, superiority, _agreement("FT", "magnitude")),
    Claim("early", "6", "The weights to prune show after a few epochs.",
          "kappa of the PT and FT masks, above substantial agreement", "03_granger_pruning#what-noise-would-get",
          superiority,
          lambda rows: rows("03_granger_pruning").query("variant == 'PT'").kappa_other_variant - margins.KAPPA),
    Claim("cheaper", "6", "PT needs less computation in all, its first epochs included.",
          "share of weights × epochs of the dense training that is saved", _PAIRS, superiority, _cheaper),
    Claim("superior_random", "2.2, 6", "LEGCNet is superior to random pruning.",
          "accuracy, FT − mean of random masks", _RANKS, superiority,
          _difference("FT", "random", "accuracy", "05_baselines")),
    Claim("superior_magnitude", "6", "LEGCNet is superior to magnitude pruning.", "accuracy, FT − magnitude", _RANKS,
          superiority, _difference("FT", "magnitude", "accuracy", "05_baselines")),
    Claim("less_pruned", "6", "LEGCNet prunes less than the baselines.", "the sparsity of the baselines is not given"),
    Claim("edge", "6", "Pruned networks suit mission-critical tasks on edge devices.", "no such task in the paper"),
    # what the idea needs, whether the paper says so or not
    Claim("chaos_shape", BEYOND, "The exponent tells weights from noise of their own shape.",
          "how often a real window exceeds one of trend plus noise, less one half",
          "10_chaos#is-there-a-setting-that-tells-them-apart", superiority, _ranked_above_noise),
    Claim("chaos_true", BEYOND, "Training is chaotic at the paper's rate.",
          "exponent of the SGD map over half a run, nats per million iterates; a necessary condition only", _TRUTH,
          superiority, _true_exponent, most="partly"),
    Claim("chaos_follows", BEYOND, "The windowed exponent follows the true one.",
          "Spearman correlation over learning rates, SGD", _TRUTH, superiority, _follows_truth),
    Claim("causal_level", BEYOND, "The rule seldom calls causal what means nothing.",
          "share of series shuffled in time that is not called causal", "11_causality#asked-about-the-wrong-error",
          at_least, lambda rows: 1 - _called_causal(rows, "exponents shuffled") / 100, 1 - margins.FALSE_ALARMS),
    Claim("causal_own", BEYOND, "A weight predicts its own network's error better than another's.",
          "weights called causal, own error − errors of other runs, points",
          "11_causality#asked-about-the-wrong-error", superiority, _own_error_only),
    Claim("causal_knockout", BEYOND, "A causal weight is missed when it is left out of the training.",
          "Spearman correlation of FT's statistic with the loss that its removal costs, retrained",
          "11_causality#what-removal-really-does", superiority, _knockout("published (LEGCNet-FT)")),
    Claim("causal_zeroed", BEYOND, "A causal weight is missed when it is set to zero after training.",
          "the same without retraining", "11_causality#what-removal-really-does", superiority,
          _knockout("published (LEGCNet-FT)", how="zeroed")),
    Claim("causal_exponent", BEYOND, "Exponents find more than the weights' own series do.",
          "correlation with the effect, retrained: exponent − weight, both at the BIC lag",
          "11_causality#is-the-exponent-needed", superiority, _knockout("exponent", "weight")),
    *[Claim(f"chance_{key}", BEYOND, f"FT's ranking beats {what}.",
            f"accuracy averaged over sparsities, FT − {base or 'random'}, points", _ADVANTAGE, superiority,
            _advantage("FT", base))
      for key, what, base in (("random", "random masks", None), ("reverse", "its own reverse", "FT reversed"),
                              ("layers", "its own masks shuffled within layers", "shuffled in layers"),
                              ("magnitude", "magnitude, layer by layer", "magnitude, by layer"),
                              ("snip", "SNIP", "SNIP"), ("grasp", "GraSP", "GraSP"), ("synflow", "SynFlow", "SynFlow"),
                              ("imp", "iterative magnitude pruning", "IMP"))],
    Claim("sane_labels", BEYOND, "FT's masks suffer when found on permuted labels.",
          "accuracy as it is − permuted, points", "12_chance#sanity-checks", superiority, _loses("labels permuted")),
    Claim("sane_start", BEYOND, "FT's masks suffer from another start.", "accuracy as it is − other start, points",
          "12_chance#sanity-checks", superiority, _loses("other start")),
    *[Claim(f"variant_{key}", BEYOND, f"On held-out data a variant works: {what}.",
            f"accuracy averaged over sparsities, {method} − {base or 'random'}, points", _ADVANTAGE, superiority,
            _advantage(method, base), on=protocols.HELDOUT)
      for key, what, method, base in (
          ("calibrated", "evidence beyond that of other runs' errors", "calibrated", None),
          ("exponent", "the mean exponent alone", "mean exponent", None),
          ("unit", "evidence by hidden unit, against units in random order", "by unit", "random, by unit"))],
    *[Claim(f"own_{key}_{over}", BEYOND, f"On a {network} LEGC's ranking beats {what}.",
            f"{measured}, averaged over sparsities", f"{page}#the-advantage", superiority,
            _on_own(page, over, quantity, sign))
      for key, network, page, measured, quantity, sign in (
          ("resnet", "ResNet", "14_resnet", "accuracy, LEGC − other, points", "points", 1),
          ("densenet", "DenseNet", "15_densenet", "accuracy, LEGC − other, points", "points", 1),
          ("transformer", "language model", "16_transformer", "loss, other − LEGC, nats per character", "loss", -1))
      for over, what in (("random", "random masks"), ("magnitude", "magnitude"))],
]  # fmt: skip


def ledger(names, protocol="published", out_dir="results"):
    """Test every claim on the saved results.

    Parameters
    ----------
    names : sequence of str
        Data sets. One for which a claim's notebook left no rows is not counted for that claim.
    protocol, out_dir
        As in `results.load`.

    Returns
    -------
    (claims, found) : DataFrames. claims has a row a claim: key, section, says, tested, page, verdict, and how many data
    sets are supported, undecided, contradicted and too_few. found has a row a claim and data set: key, dataset, effect,
    low, high, n, p, p_holm, outcome.
    """
    found = []
    for claim in CLAIMS:
        for name in (n for n in names if claim.measure and (claim.on is None or n in claim.on)):
            try:
                values = claim.measure(lambda notebook, name=name: results.load(notebook, name, protocol, out_dir))
            except FileNotFoundError:
                continue
            if np.isnan(np.asarray(values, dtype=float)).all():  # not printed, never reached, or no such method
                continue
            outcome = claim.test(values) if claim.margin is None else claim.test(values, claim.margin)
            found.append(dict(key=claim.key, dataset=name) | outcome)
    columns = ["key", "dataset", "effect", "low", "high", "n", "p", "outcome"]
    found = pd.DataFrame(found, columns=columns)
    beyond = found.key.isin([claim.key for claim in CLAIMS if claim.section == BEYOND])
    found = pd.concat([correct(found[~beyond]), correct(found[beyond])])  # the paper's claims are a family of their own
    rows = []
    for claim in CLAIMS:
        outcomes = found.outcome[found.key == claim.key].tolist()
        row = {k: getattr(claim, k) for k in ("key", "section", "says", "tested", "page")}
        row["verdict"] = verdict(outcomes, claim.most)
        rows.append(row | {o.replace(" ", "_"): outcomes.count(o) for o in OUTCOMES})
    return pd.DataFrame(rows), found


def in_words(claims):
    """Verdicts as tables show them: what the paper does not claim cannot be reproduced; it holds or is not shown."""
    beyond = claims.verdict.replace({"reproduced": "holds", "not reproduced": "not shown"})
    return claims.verdict.where(claims.section != BEYOND, beyond)


def markdown(claims):
    """The table of verdicts as the README shows it: claim, section, data sets that support it, verdict."""
    lines = ["| the paper says, or its idea needs | section | supported on | verdict |", "| --- | --- | --- | --- |"]
    for row in claims.assign(verdict=in_words(claims)).itertuples():
        tested = row.supported + row.undecided + row.contradicted
        supported = f"{row.supported} of {tested}" if tested else "–"
        lines.append(f"| {row.says} | {row.section} | {supported} | {row.verdict} |")
    return "\n".join(lines)


def main(out_dir):
    """Write the verdicts of the results in `out_dir` to `TABLE` and between the marks in the README."""
    claims = results.load("claims", "all", "published", out_dir)
    claims.drop(columns=["dataset", "protocol"]).to_csv(TABLE, index=False)
    readme = TABLE.parent.parent / "README.md"
    before, rest = readme.read_text().split("<!-- verdicts -->\n")
    _, after = rest.split("<!-- end of verdicts -->")
    readme.write_text(f"{before}<!-- verdicts -->\n{markdown(claims)}\n<!-- end of verdicts -->{after}")


if __name__ == "__main__":
    main(sys.argv[1])
