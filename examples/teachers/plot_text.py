"""
Distill a classifier of texts
=============================

Teacher and student can read texts, if each has its own way to do so. The sentences of
scikit-learn's documentation tell which part of it they are from. The picture shows how
often the two agree, by the confidence of the teacher.
"""

# %%
# Sentences of docstrings
# -----------------------
# scikit-learn is installed, so its docstrings are a data set that needs no download.

import inspect
from importlib import import_module

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from skdistill import DistilledClassifier, make_student
from skdistill.deploy import footprint
from skdistill.inspection import FidelityDisplay

parts = ["cluster", "ensemble", "linear_model", "metrics", "preprocessing", "svm"]
lines = {}
for part in parts:
    module = import_module(f"sklearn.{part}")
    for name in module.__all__:
        for paragraph in inspect.getdoc(getattr(module, name)).split("\n\n"):
            if len(paragraph) > 60 and ">>>" not in paragraph:
                lines.setdefault(paragraph, part)
texts, labels = np.array(list(lines)), np.array(list(lines.values()))
X_train, X_test, y_train, y_test = train_test_split(
    texts, labels, stratify=labels, random_state=0
)
print(len(texts), "paragraphs, for example:", X_train[0].splitlines()[0])

# %%
# Each with its own pipeline
# --------------------------
# The teacher reads all words, and the student 50 mixtures of them. Rows of text cannot
# be mixed, so no rows are made.

words = TfidfVectorizer(sublinear_tf=True, min_df=2)
teacher = make_pipeline(words, ExtraTreesClassifier(200, random_state=0))

net = make_student((32,), numeric="standard", weight_decay=0.3)[-1]
student = make_pipeline(words, TruncatedSVD(50, random_state=0), net)
clf = DistilledClassifier(
    teacher, student, soft_labels="out_of_fold", random_state=0
).fit(X_train, y_train)
models = {"teacher": clf.teacher_, "student": clf}
for name, model in models.items():
    print(f"{name}: accuracy {model.score(X_test, y_test):.3f}")
print(footprint(models, X_test))

# %%
# Agreement by confidence
# -----------------------
# The less certain the teacher is, the more often the student predicts another part.

fig, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
FidelityDisplay.from_estimator(clf, X_test, kind="agreement", n_bins=6, ax=ax)
fig.show()
