import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier

from skdistill import DistilledClassifier, make_student
from skdistill.deploy import to_onnx, to_sklearn
from skdistill.deploy._parts import parts_of
from skdistill.deploy._sample import sample_rows
from tests.deploy.conftest import assert_same, distilled, in_pipeline, quick_student


def test_images_need_a_sample(image_student):
    with pytest.raises(ValueError, match="pass sample="):
        to_onnx(image_student[0])


def test_sparse_sample_is_of_a_net_that_takes_it(net_student, net_file, data):
    assert to_onnx(net_student, sample=csr_matrix(data[0])) == net_file


def test_sample_of_one_row_and_list(net_student, net_file, data):
    assert to_onnx(net_student, sample=data[0][:1].tolist()) == net_file


@pytest.mark.usefixtures("net_by_hand")
@pytest.mark.parametrize("missing", [None, np.nan])
def test_sample_of_objects(array_student, data, missing):
    rows = data[0].astype(object)
    rows[0, 0] = missing
    assert_same(to_onnx(array_student, sample=rows), array_student, data[0])


def test_made_up_rows_look_like_the_columns_of_the_fit(frame_student, table):
    X, made = table[0], sample_rows(parts_of(frame_student), 2000)
    assert made.columns.tolist() == X.columns.tolist()
    for name in ("capital-gain", "1", "flag"):
        assert 0.03 < made[name].isna().mean() < 0.07
        assert abs(made[name].median() - X[name].mean()) < 0.1 * X[name].std()
        assert (abs(made[name] - X[name].mean()) > 10 * X[name].std()).any()
    for name in ("home town", "variable"):
        assert 0.03 < made[name].isna().mean() < 0.07
        assert set(made[name].dropna()) == {*X[name].dropna(), "never seen"}
    assert made["empty"].isna().all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_made_up_rows_are_never_missing_where_that_is_refused(data, dtype):
    X, y = data[0].astype(dtype), data[1]
    student = make_student((8,), max_epochs=1)
    teacher = KNeighborsClassifier().fit(X, y)
    params = {"augmenter": None, "random_state": 0}
    clf = DistilledClassifier(teacher, student, **params).fit(X, y)
    made = sample_rows(parts_of(clf))
    assert made.shape == (256, 4)
    assert made.dtype == dtype
    assert np.isfinite(made).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_made_up_rows_stay_within_the_range_of_float32(data, dtype):
    X = data[0].astype(dtype)
    X[:2, 0] = -1e38, 1e38
    clf = distilled(make_student((8,), max_epochs=1), X, data[1])
    made = sample_rows(parts_of(clf))
    largest = np.nanmax(np.abs(made), axis=0)
    assert largest[0] == pytest.approx(1e30)
    assert largest[1] < 1e6
    assert to_sklearn(clf)


@pytest.mark.parametrize("steps", [[], [PCA(2)]])
def test_made_up_rows_are_standard_normal_without_preprocessing(
    net_student, data, steps
):
    clf = in_pipeline(steps, quick_student(), *data) if steps else net_student
    made = sample_rows(parts_of(clf), 2000)
    assert made.shape == (2000, 4)
    np.testing.assert_allclose(made.mean(axis=0), 0, atol=0.1)
    np.testing.assert_allclose(made.std(axis=0), 1, atol=0.1)
