from concurrent.futures import ThreadPoolExecutor

import pytest
from numpy.testing import assert_allclose

from skdistill.deploy import OnnxClassifier, to_onnx

fastapi = pytest.importorskip("fastapi")
pytest.importorskip("httpx")
pytest.importorskip("skl2onnx")

N_REQUESTS, N_THREADS = 10_000, 32


def test_threads_get_the_answers_to_their_own_rows(iris, iris_forest, small):
    from fastapi.testclient import TestClient

    clf = small(iris_forest).fit(*iris)
    served = OnnxClassifier(to_onnx(clf))
    app = fastapi.FastAPI()

    @app.post("/predict")
    def predict(rows: list[list[float]]) -> list[list[float]]:
        return served.predict_proba(rows).tolist()

    client = TestClient(app)
    X = iris[0]

    def ask(number):
        row = X[number % len(X)].tolist()
        response = client.post("/predict", json=[row])
        response.raise_for_status()
        return response.json()[0]

    with ThreadPoolExecutor(N_THREADS) as pool:
        answers = list(pool.map(ask, range(N_REQUESTS)))
    expected = clf.predict_proba(X)[[n % len(X) for n in range(N_REQUESTS)]]
    assert_allclose(answers, expected, atol=1e-6)
