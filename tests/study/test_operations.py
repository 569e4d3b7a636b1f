"""Operations that a forward pass takes, and those that zero weights would spare."""

import numpy as np
import torch
from torch.nn.utils import prune

from study import operations


def test_a_mask_saves_no_multiply_adds():
    layer = torch.nn.Sequential(torch.nn.Linear(5, 3, dtype=torch.float64), torch.nn.Sigmoid())
    dense = operations.multiply_adds(layer, np.ones((2, 5)))
    prune.random_unstructured(layer[0], "weight", amount=7)
    assert dense == operations.multiply_adds(layer, np.ones((2, 5))) == 2 * 5 * 3


def test_what_could_be_skipped_is_what_zero_weights_take_part_in():
    convolution = torch.nn.Conv2d(1, 4, 3, padding=1, bias=False)
    model, X = torch.nn.Sequential(convolution, torch.nn.Flatten(), torch.nn.Linear(64, 2)), torch.ones(5, 1, 4, 4)
    assert operations.multiply_adds(model, X) == 5 * (4 * 9 * 16 + 64 * 2)
    assert operations.skippable_multiply_adds(model, X) == 0
    prune.ln_structured(model[0], "weight", 1, n=1, dim=0)
    assert operations.skippable_multiply_adds(model, X) == 5 * 9 * 16
    prune.random_unstructured(model[2], "weight", 32)
    assert operations.skippable_multiply_adds(model, X) == 5 * (9 * 16 + 32)
    assert operations.multiply_adds(model, X) == 5 * (4 * 9 * 16 + 64 * 2)
    assert operations.skippable_multiply_adds(model[2], torch.ones(1, 64)) == 32  # a layer alone


def test_counting_leaves_mode_and_batch_norm_as_they_are():
    norm = torch.nn.BatchNorm1d(3).train()
    operations.multiply_adds(norm, torch.randn(4, 3))
    assert norm.training and (norm.running_mean == 0).all()
