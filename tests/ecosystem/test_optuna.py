import pytest

optuna = pytest.importorskip("optuna")


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def test_optuna_search_finds_a_temperature_and_an_alpha(iris, iris_forest, small):
    integration = pytest.importorskip("optuna_integration")
    search = integration.OptunaSearchCV(
        small(iris_forest),
        {
            "alpha": optuna.distributions.FloatDistribution(0, 1),
            "temperature": optuna.distributions.FloatDistribution(1, 4),
        },
        n_trials=3,
        cv=2,
        random_state=0,
    ).fit(*iris)
    assert set(search.best_params_) == {"alpha", "temperature"}
    assert search.best_estimator_.teacher is iris_forest
    assert search.score(*iris) > 0.3


def test_a_study_prunes_trainings_by_their_epochs(iris, iris_forest, small):
    def objective(trial):
        clf = small(iris_forest, alpha=trial.suggest_float("alpha", 0, 1))
        for epoch in range(3):
            clf.partial_fit(*iris)
            trial.report(clf.score(*iris), epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return clf.score(*iris)

    pruner = optuna.pruners.ThresholdPruner(lower=2.0)  # nothing is so accurate
    study = optuna.create_study(direction="maximize", pruner=pruner)
    study.enqueue_trial({"alpha": 0.5})
    study.optimize(objective, n_trials=2)
    assert [trial.state.name for trial in study.trials] == ["PRUNED", "PRUNED"]
    assert all(list(trial.intermediate_values) == [0] for trial in study.trials)
