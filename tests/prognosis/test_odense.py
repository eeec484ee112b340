"""The figures that others printed for 205 melanoma patients of Odense, to every printed digit."""

import numpy as np
import pandas as pd
import pytest

from longderm.prognosis import cumulative_incidence, fit_survival, kaplan_meier, log_rank, survival_times

DIED_OF_MELANOMA, ALIVE, DIED_OTHERWISE = 1, 2, 3


@pytest.fixture(scope="module")
def odense(shared_data):
    path = shared_data / "survival" / "odense_melanoma.csv"
    if not path.is_file():
        pytest.skip("the Odense table is not at hand (LONGDERM_TEST_DATA/survival)")
    table = pd.read_csv(path)
    return table.assign(log_thickness=np.log(table.thickness), died=table.status != ALIVE)


def printed(values, digits):
    return [f"{value:.{digits}f}" for value in np.atleast_1d(values)]


def global_tests(model, digits):
    fit = model.fit
    return [
        f"{test.statistic:.{places}f}"
        for test, places in zip((fit.likelihood_ratio, fit.wald, fit.score), digits, strict=True)
    ]


def test_cox_of_melanoma_death_by_sex(odense):
    model = fit_survival(odense, ["sex"], event="status", event_value=DIED_OF_MELANOMA)
    row = model.summary()[0]
    assert printed([row["coefficient"], row["standard_error"]], 3) == ["0.662", "0.265"]
    assert printed([row[f"hazard_ratio{end}"] for end in ("", "_lower", "_upper")], 2) == ["1.94", "1.15", "3.26"]
    assert global_tests(model, (2, 2, 2)) == ["6.15", "6.24", "6.47"]


def test_cox_of_melanoma_death_by_sex_and_log_thickness(odense):
    model = fit_survival(odense, ["sex", "log_thickness"], event="status", event_value=DIED_OF_MELANOMA)
    assert printed(model.fit.beta, 4) == ["0.4580", "0.7809"]
    assert printed(model.fit.standard_error, 4) == ["0.2687", "0.1573"]
    assert printed(model.fit.concordance.value, 3) == ["0.749"]
    assert global_tests(model, (2, 1, 2)) == ["33.45", "31.0", "32.52"]


def test_cox_of_any_death(odense):
    model = fit_survival(odense, ["age", "sex", "thickness", "ulcer"], event="died")
    assert printed(model.fit.beta, 6) == ["0.021831", "0.413460", "0.099467", "0.952083"]
    assert printed(model.fit.standard_error, 6) == ["0.007752", "0.240132", "0.034455", "0.267966"]
    assert printed(model.fit.concordance.value, 3) == ["0.739"]
    assert global_tests(model, (2, 2, 2)) == ["47.89", "46.72", "52.77"]


@pytest.mark.parametrize(("by", "chi_square", "p_value"), [("ulcer", "29.6", "5e-08"), ("sex", "6.47", "0.011")])
def test_log_rank(odense, by, chi_square, p_value):
    found = log_rank(survival_times(odense.time, odense.status == DIED_OF_MELANOMA), odense[by])
    assert f"{found.chi_square:.3g}" == chi_square
    assert float(f"{found.p_value:.{1 if by == 'ulcer' else 2}g}") == float(p_value)
    assert found.degrees_of_freedom == 1


def test_kaplan_meier_at_years_of_365_days(odense):
    curve = kaplan_meier(survival_times(odense.time, odense.status == DIED_OF_MELANOMA))
    assert printed(curve.at(365 * np.arange(1, 6)), 3) == ["0.970", "0.925", "0.849", "0.818", "0.769"]


def test_cumulative_incidence_of_melanoma_death(odense):
    cause = odense.status.map({ALIVE: 0, DIED_OF_MELANOMA: 1, DIED_OTHERWISE: 2})
    incidence = cumulative_incidence(odense.time, cause).at([1000, 2000, 3000, 4000])
    assert printed(incidence[:3], 8) == ["0.12745714", "0.23013963", "0.30962017"]
    assert printed(incidence[3], 7) == ["0.3387175"]
