import numpy as np
import pandas as pd
import pytest

from skdistill import DistilledClassifier, make_student
from tests.conftest import table

# A file of the default student asks to trust these, and no others.
TYPES = {
    "skdistill._classifier.DistilledClassifier",
    "skdistill._students._net.WarmupDecay",
    "skdistill._students._net.MLP",
    "skdistill._students._tabular.TabularPreprocessor",
    "skdistill.utils._probabilities.softmax",
    "skdistill._students._student_net.StudentNet",
    "skorch.dataset.Dataset",
    "skorch.history.History",
    "torch.nn.modules.loss.CrossEntropyLoss",
    "torch.optim.adamw.AdamW",
    "torch.utils.data.dataloader.DataLoader",
}


@pytest.mark.parametrize("student", [None, make_student((4,), max_epochs=1)])
def test_skops_loads_a_student_of_a_table_with_missing_strings(student):
    sio = pytest.importorskip("skops.io")
    X = pd.DataFrame(table())
    y = X.pop("town")
    proba = np.where(np.unique(y) == y.to_numpy()[:, np.newaxis], 0.9, 0.1)
    clf = DistilledClassifier(student=student, random_state=0)
    file = sio.dumps(clf.fit(X, y, teacher_proba=proba))
    untrusted = sio.get_untrusted_types(data=file)
    assert set(untrusted) <= TYPES
    loaded = sio.loads(file, trusted=untrusted)
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
