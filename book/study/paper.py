"""The paper's own figures (Tables 1 to 4, section 5.1), as data. The only place where results are typed in."""

import pandas as pd

ALPHA_LOW, ALPHA_HIGH = 2.0, 6.0  # of a well-trained layer, by section 5.1 and WeightWatcher's own guide

TABLE_1 = pd.DataFrame(
    [
        ("cancer", 60, 54, 6, 70, 38, 0.8759, 0.8686, 0.8656, 0.8570, 10.0),
        ("titanic", 56, 52, 4, 43, 20, 0.7225, 0.7177, 0.6948, 0.6843, 7.14),
        ("banknote", 40, 36, 4, 9, 7, 0.9018, 0.8909, 0.9016, 0.8906, 10.0),
        ("iris", 42, 40, 2, 182, 166, 0.9, 0.9, 0.9124, 0.9419, 4.76),
        ("iris3f", 36, 26, 10, 139, 126, 0.9, 0.9, 0.933, 0.904, 27.78),
        ("vowel", 36, 34, 2, 36, 14, 0.7462, 0.7538, 0.7307, 0.74, 5.56),
        ("mnist", 41000, 40861, 139, 27, 30, 0.9121, 0.9165, 0.8669, 0.8781, 0.34),
    ],
    columns=[
        "dataset",
        "flops_dense",
        "flops_FT",
        "non_causal",
        "epoch_dense",
        "epoch_FT",
        "accuracy_dense",
        "accuracy_FT",
        "f1_dense",
        "f1_FT",
        "pruned_percent_FT",
    ],
).set_index("dataset")

TABLE_2 = pd.DataFrame(
    [
        ("cancer", 12, 54, 42, 38, 24, 0.8686, 0.8759, 0.8570, 0.8643, 30.0),
        ("titanic", 3, 52, 29, 20, 36, 0.7177, 0.7249, 0.6843, 0.6969, 48.21),
        ("banknote", 2, 36, 37, 7, 6, 0.8909, 0.8945, 0.8906, 0.8943, 7.5),
        ("iris", 20, 40, 40, 166, 173, 0.9, 0.9, 0.9419, 0.9124, 4.76),
        ("iris3f", 20, 26, 28, 126, 135, 0.9, 0.9333, 0.9040, 0.9330, 22.22),
        ("vowel", 5, 34, 28, 14, 20, 0.7538, 0.7538, 0.7400, 0.7441, 22.22),
        ("mnist", 5, 40861, 40867, 30, 29, 0.9165, 0.9152, 0.8781, 0.8408, 0.32),
    ],
    columns=[
        "dataset",
        "partial_epochs",
        "flops_FT",
        "flops_PT",
        "epoch_FT",
        "epoch_PT",
        "accuracy_FT",
        "accuracy_PT",
        "f1_FT",
        "f1_PT",
        "pruned_percent_PT",
    ],
).set_index("dataset")

TABLE_3 = pd.DataFrame(
    [
        ("cancer", 42, 0.8759, 0.8905, 0.8656, 0.8814),
        ("titanic", 35, 0.7201, 0.7201, 0.6842, 0.6906),
        ("banknote", 6, 0.8945, 0.9018, 0.8943, 0.9015),
        ("iris", 179, 0.9, 0.9, 0.9124, 0.9124),
        ("iris3f", 160, 0.9, 0.9333, 0.9330, 0.9330),
        ("vowel", 28, 0.7462, 0.7462, 0.7229, 0.7307),
        ("mnist", 31, 0.9119, 0.9121, 0.8627, 0.8669),
    ],
    columns=["dataset", "epoch_random", "accuracy_random", "accuracy_magnitude", "f1_random", "f1_magnitude"],
).set_index("dataset")

TABLE_4 = pd.DataFrame(
    [
        ("dense", 2.19, 1.63, 1.51, 1.88, 1.94, 2.76),
        ("FT", 2.24, 1.64, 1.51, 1.83, 2.29, 3.20),
        ("PT", 2.19, 1.71, 1.51, 1.85, 2.73, 3.87),
        ("random", 2.30, 1.53, 1.70, 1.95, 2.00, 2.84),
        ("magnitude", 2.19, 1.63, 1.55, 1.85, 1.96, 2.78),
    ],
    columns=["model", "alpha_1", "alpha_w_1", "alpha_2", "alpha_w_2", "alpha_3", "alpha_w_3"],
).set_index("model")


def comparable(dataset):
    """Whether a data set's printed numbers can come out here: not titanic's, whose members are not the paper's."""
    return dataset in TABLE_1.index and dataset != "titanic"


def printed(dataset):
    """What Tables 1 to 3 print for a data set: DataFrame, rows by model, columns weights, epoch, accuracy, f1.

    NaN where the paper prints nothing; all NaN for a data set that it does not have.
    """
    columns = {"weights": "flops", "epoch": "epoch", "accuracy": "accuracy", "f1": "f1"}
    row = {k: v for t in (TABLE_3, TABLE_2, TABLE_1) if dataset in t.index for k, v in t.loc[dataset].items()}
    models = ["dense", "FT", "PT", "random", "magnitude"]
    table = {c: [row.get(f"{prefix}_{m}") for m in models] for c, prefix in columns.items()}
    return pd.DataFrame(table, index=pd.Index(models, name="model"), dtype=float)
