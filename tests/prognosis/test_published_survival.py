"""What R's survival package printed for data that lifelines ships, to every printed digit."""

import pytest
from lifelines import datasets

from longderm.prognosis import fit_survival, log_rank, survival_times


def rows(model, digits):
    return [[f"{row[name]:.{digits}f}" for row in model.summary()] for name in ("coefficient", "standard_error")]


def global_tests(model, digits):
    fit = model.fit
    return [f"{test.statistic:.{digits}f}" for test in (fit.likelihood_ratio, fit.wald, fit.score)]


def test_stanford_heart_transplants_in_start_stop_rows():
    table = datasets.load_stanford_heart_transplants()
    model = fit_survival(table, ["age", "year", "surgery", "transplant"], time="stop", start="start")
    coefficients, errors = rows(model, 5)
    assert coefficients == ["0.02717", "-0.14635", "-0.63721", "-0.01025"]
    assert errors == ["0.01371", "0.07047", "0.36723", "0.31375"]
    assert (model.fit.rows, model.fit.events) == (172, 75) and global_tests(model, 1)[0] == "15.1"


def test_lung_cancer():
    table = datasets.load_lung()
    model = fit_survival(table, ["age", "sex", "ph.ecog"], event="status", missing="complete_case")
    assert rows(model, 6) == [["0.011067", "-0.552612", "0.463728"], ["0.009267", "0.167739", "0.113577"]]
    assert global_tests(model, 2) == ["30.50", "29.93", "30.50"]
    concordance = model.fit.concordance
    assert (f"{concordance.value:.3f}", f"{concordance.standard_error:.3f}") == ("0.637", "0.025")
    by_sex = fit_survival(table, ["sex"], event="status")
    assert rows(by_sex, 4) == [["-0.5310"], ["0.1672"]] and global_tests(by_sex, 2) == ["10.63", "10.09", "10.33"]
    found = log_rank(survival_times(table.time, table.status), table.sex)
    assert [f"{one:.1f}" for one in found.expected] == ["91.6", "73.4"] and f"{found.chi_square:.1f}" == "10.3"


def test_lung_cancer_with_strata():
    model = fit_survival(datasets.load_lung(), ["age"], event="status", strata="sex")
    assert rows(model, 5) == [["0.01621"], ["0.00919"]]


def test_recidivism_in_tied_weeks():
    table = datasets.load_rossi()
    names = ["fin", "age", "race", "wexp", "mar", "paro", "prio"]
    model = fit_survival(table, names, time="week", event="arrest")
    coefficients, errors = rows(model, 5)
    assert coefficients == ["-0.37942", "-0.05744", "0.31390", "-0.14980", "-0.43370", "-0.08487", "0.09150"]
    assert errors == ["0.19138", "0.02200", "0.30799", "0.21222", "0.38187", "0.19576", "0.02865"]
    assert global_tests(model, 2) == ["33.27", "32.11", "33.53"]
    concordance = model.fit.concordance
    assert (f"{concordance.value:.2f}", f"{concordance.standard_error:.3f}") == ("0.64", "0.027")


@pytest.mark.parametrize(
    ("ties", "coefficients", "errors"),
    [
        ("efron", ["0.1400", "0.6424", "1.7060", "0.0190"], ["0.4625", "0.3561", "0.4219", "0.0143"]),
        ("breslow", ["0.1386", "0.6383", "1.6931", "0.0189"], ["0.4623", "0.3561", "0.4222", "0.0143"]),
    ],
)
def test_cancer_of_the_larynx_with_both_kinds_of_ties(ties, coefficients, errors):
    names = ["Stage_II", "Stage_III", "Stage_IV", "age"]
    model = fit_survival(datasets.load_larynx(), names, event="death", ties=ties)
    assert rows(model, 4) == [coefficients, errors]
