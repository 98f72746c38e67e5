"""Fold the parameters of the two estimators by group, as there are more than twenty."""

from docutils import nodes
from sphinx.errors import ExtensionError

ESTIMATORS = ("DistilledClassifier", "DistilledRegressor")

# The first parameter of each group, in the order of the signatures. What comes before
# is needed most often, and stays open.
GROUPS = {
    "student_columns": "The columns that the student reads",
    "loss": "The losses",
    "soft_labels": "The soft labels and the targets",
    "augmenter": "Made rows, and the teacher's probabilities",
    "memory": "How fit runs",
}


def grouped(items):
    """Yield the title of each group, the names in it, and the items themselves."""
    title, group = "", {}
    for item in items:
        name = item[0].astext()
        if name in GROUPS:
            yield title, group
            title, group = GROUPS[name], {}
        group[name] = item
    yield title, group


def fold(app, domain, objtype, content):
    """Put each group of a class's parameters into a block that readers open."""
    name = content.parent[0].get("fullname")
    if objtype != "class" or name not in ESTIMATORS:
        return
    parameters = next(
        field[1]
        for field in content.findall(nodes.field)
        if field[0].astext() == "Parameters"
    )
    groups = list(grouped(parameters[0]))
    if [title for title, _ in groups] != ["", *GROUPS.values()]:
        raise ExtensionError(f"{name} has other groups of parameters than {__file__}")
    parameters.clear()
    for title, group in groups:
        items = nodes.definition_list("", *group.values())
        if not title:
            parameters += items
            continue
        summary = f"<summary>{title}: <span>{', '.join(group)}</span></summary>"
        parameters += nodes.raw("", f'<details class="folded">{summary}', format="html")
        parameters += items
        parameters += nodes.raw("", "</details>", format="html")


def setup(app):
    app.connect("object-description-transform", fold)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
