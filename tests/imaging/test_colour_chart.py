"""A chart's patches correct colours, and patches that the fit did not see tell its error."""

from __future__ import annotations

import numpy as np
import pytest

from longderm.errors import UsageError
from longderm.imaging.colour_chart import METHODS, fit_chart

MIX = np.array([[0.9, 0.1, 0.02], [0.08, 0.85, 0.1], [0.01, 0.12, 0.8]])


def chart(patches=24, seed=1):
    return np.random.default_rng(seed).uniform(0.03, 0.9, (patches, 3))


@pytest.mark.parametrize("method", METHODS)
def test_a_linear_camera_is_undone(method):
    known = chart()
    fit = fit_chart(known @ MIX if method == "linear" else known, known, method)
    assert fit.error < 0.05
    assert fit.patches == 24


def test_a_matrix_is_found_again_and_applies_to_other_colours():
    known, others = chart(), chart(seed=2)
    fit = fit_chart(known @ MIX, known)
    np.testing.assert_allclose(fit.apply(others @ MIX), others, atol=1e-4)
    assert fit.error < 0.01 < fit.error_before


def test_the_root_polynomial_follows_exposure_as_light_does():
    known = chart()
    seen = np.clip(known @ MIX, 0, None)
    fit = fit_chart(seen + 0.05 * np.sqrt(seen * seen[:, [1, 2, 0]]), known, "root_polynomial")
    np.testing.assert_allclose(fit.apply(0.5 * seen), 0.5 * fit.apply(seen), rtol=1e-5)


def test_the_root_polynomial_corrects_what_a_matrix_cannot():
    known = chart(40)
    seen = known @ MIX + 0.2 * np.sqrt(known * known[:, [1, 2, 0]])
    assert fit_chart(seen, known, "root_polynomial").error < 0.7 * fit_chart(seen, known).error


def test_noise_shows_in_the_error_of_patches_left_out_and_few_patches_more_so():
    generator = np.random.default_rng(5)
    known = chart(24)
    noisy = np.clip(known @ MIX + generator.normal(0, 0.01, known.shape), 0, None)
    fit = fit_chart(noisy, known, "root_polynomial")
    shown = np.linalg.norm(fit.apply(noisy) - known, axis=1).mean()
    assert fit.error > 0.2
    assert fit.error_worst >= fit.error
    assert np.isfinite(shown)
    assert fit_chart(noisy[:8], known[:8], "root_polynomial").error > fit.error


@pytest.mark.parametrize(
    ("measured", "reference", "method"),
    [
        (np.ones((3, 3)), np.ones((3, 3)), "linear"),
        (np.ones((6, 3)), np.ones((6, 3)), "root_polynomial"),
        (np.ones((9, 3)), np.ones((9, 3)), "linear"),
        (chart(9), chart(8), "linear"),
        (chart(9)[:, :2], chart(9)[:, :2], "linear"),
        (chart(9), chart(9), "cubic"),
        (np.full((9, 3), np.nan), chart(9), "linear"),
        (-chart(9), chart(9), "linear"),
    ],
)
def test_patches_that_cannot_be_fitted_are_refused_by_name(measured, reference, method):
    with pytest.raises(UsageError):
        fit_chart(measured, reference, method)
