"""A fitted error model ranks what it was shown, never falls along a ladder of signs, and is the same each time."""

import numpy as np
import pytest
import torch

from longderm.imaging.quality_model import ErrorModel, Ramp
from longderm.training import quality
from longderm.training.quality import fit_error_model

RAMPS = tuple(Ramp(name, 0.0, 1.0) for name in "abcd")


@pytest.fixture
def ladders(monkeypatch):
    """Twelve photos, each worsened in five steps by one of three signs; a fourth sign is never moved."""
    monkeypatch.setattr(quality, "_STEPS", 400)
    rng = np.random.default_rng(3)
    start = rng.uniform(0, 0.2, (36, 1, 4))
    moved = np.eye(4)[np.arange(36) % 3][:, None, :] * np.linspace(0, 0.8, 6)[None, :, None]
    signs = np.clip(start * [1, 1, 1, 0] + moved, 0, 1).reshape(-1, 4)
    errors = np.clip(signs @ [0.9, 0.5, 0.2, 0.0] + rng.normal(0, 0.01, len(signs)), 0, 1)
    return signs, errors, np.arange(len(signs)).reshape(-1, 6), RAMPS


def test_errors_are_ranked_and_each_sign_has_its_own_cost(ladders):
    signs, errors, series, _ = ladders
    expected = ErrorModel.from_config(fit_error_model(*ladders))(signs)
    assert np.corrcoef(np.argsort(np.argsort(expected)), np.argsort(np.argsort(errors)))[0, 1] > 0.9
    worst = expected[series[:, -1]].reshape(-1, 3).mean(axis=0)
    assert worst[0] > worst[1] > worst[2]


def test_a_sign_that_was_never_moved_costs_something_still(ladders):
    model = ErrorModel.from_config(fit_error_model(*ladders))
    assert model(np.array([0.1, 0.1, 0.1, 0.9])) > model(np.array([0.1, 0.1, 0.1, 0.0])) + 0.005


def test_what_is_known_beforehand_of_a_sign_counts_where_nothing_was_seen_of_it(ladders):
    signs, errors, series, ramps = ladders
    known = (*ramps[:3], Ramp("d", 0.0, 1.0, cost=3.0, certainty=10.0))
    worst = np.array([0.1, 0.1, 0.1, 0.9])
    unsure, sure = (ErrorModel.from_config(fit_error_model(signs, errors, series, of))(worst) for of in (ramps, known))
    assert sure > unsure + 0.05


def test_joined_networks_expect_the_mean_of_their_log_odds(ladders):
    torch.manual_seed(5)
    nets = [quality._Net(RAMPS) for _ in range(3)]
    x = torch.rand(20, 4)
    joined = ErrorModel.from_config(quality._config(nets))(x.numpy().astype(np.float64))
    mean = torch.stack([torch.logit(net(x)) for net in nets]).mean(dim=0)
    assert joined == pytest.approx(torch.sigmoid(mean).detach().numpy(), rel=1e-3)


def test_the_same_rows_give_the_same_model(ladders):
    assert fit_error_model(*ladders) == fit_error_model(*ladders)


def test_that_a_photo_moves_nothing_from_itself_teaches_nothing(ladders):
    signs, errors, series, ramps = ladders
    other = errors.copy()
    other[series[:, 0]] = 0.0
    assert fit_error_model(signs, other, series, ramps) == fit_error_model(*ladders)
