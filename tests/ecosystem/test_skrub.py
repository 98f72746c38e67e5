import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier

from skdistill.deploy import OnnxClassifier, to_onnx

skrub = pytest.importorskip("skrub")
pytest.importorskip("skl2onnx")


def test_a_tabular_pipeline_teaches_and_the_student_goes_to_onnx(people, small):
    teacher = skrub.tabular_pipeline(HistGradientBoostingClassifier()).fit(*people)
    clf = small(teacher).fit(*people)
    served = OnnxClassifier(to_onnx(clf))
    frame = people[0]
    assert_allclose(served.predict_proba(frame), clf.predict_proba(frame), atol=1e-6)


def test_a_tabular_pipeline_around_the_student(people, small):
    clf = small(RandomForestClassifier(20, random_state=0), alpha=0.0)
    pipeline = skrub.tabular_pipeline(clf).fit(*people)
    assert pipeline.score(*people) > 0.6
    with pytest.raises(ValueError, match="pass sample="):
        to_onnx(pipeline)
    with pytest.raises(ValueError, match=r"export to_onnx\(pipeline\[-1\]\) alone"):
        to_onnx(pipeline, sample=people[0])
    served = OnnxClassifier(to_onnx(pipeline[-1]))
    rows = pipeline[:-1].transform(people[0])
    assert_allclose(
        served.predict_proba(rows), pipeline.predict_proba(people[0]), atol=1e-6
    )
    assert np.isfinite(served.predict_proba(rows)).all()
