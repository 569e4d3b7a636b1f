"""The figures of the paper's successors, as data; typed in, like those of `paper`.

What their repository prints (github.com/adityac20/causalpruning_20251016): ResNet-20 on CIFAR-10, two repetitions of
each, by share pruned, method and rounds; and the largest eigenvalue of the Hessian of the test loss.
"""

import pandas as pd

ACCURACY = pd.DataFrame(
    {
        0.10: (0.9211, 0.9192, 0.9157, 0.9146, 0.9152, 0.9168),
        0.30: (0.9154, 0.9159, 0.9069, 0.9116, 0.9103, 0.9129),
        0.50: (0.9127, 0.9081, 0.9089, 0.9083, 0.9042, 0.9086),
        0.70: (0.8957, 0.8940, 0.8902, 0.8908, 0.8948, 0.8928),
        0.90: (0.8616, 0.8655, 0.8508, 0.8477, 0.8814, 0.8804),
        0.95: (0.8368, 0.8410, 0.8088, 0.8165, 0.8667, 0.8674),
        0.98: (0.7874, 0.7908, 0.7242, 0.7474, float("nan"), float("nan")),
    },
    index=pd.MultiIndex.from_product(
        [["causal, 10 rounds", "causal, 1 round", "magnitude, 10 rounds"], [1, 2]], names=["method", "repetition"]
    ),
).T.rename_axis("share pruned")

EIGENVALUES = pd.DataFrame(
    [
        ("LeNet", 46.5, 703.8, 682.9, 406.9, 1289.3),
        ("ResNet-20", 587.1, 1160.7, 776.3, 34083.2, 2500.7),
        ("ResNet-18", 380.1, float("nan"), float("nan"), 533.6, 1584.6),
    ],
    columns=["network", "dense", "causal, 0.5", "magnitude, 0.5", "causal, 0.9", "magnitude, 0.9"],
).set_index("network")
