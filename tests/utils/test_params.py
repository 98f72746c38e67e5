import pytest
from sklearn.base import BaseEstimator

from skdistill.utils._params import check_params


class Estimator(BaseEstimator):
    _parameter_constraints = {"size": [int]}

    def __init__(self, size):
        self.size = size


def test_parameters_of_the_right_type_pass():
    check_params(Estimator(3))


def test_an_error_names_the_parameter_and_the_class():
    with pytest.raises(ValueError, match="'size' parameter of Estimator must be"):
        check_params(Estimator("three"))
