"""Compare distilled students with other small models of the same tables.

The rows and the teachers are those of ``quality.py``. The models are, by ``--models``:

- "student": the teacher, its default student, another with two layers of 256 units that
  learns from the same soft labels, and LightGBM with as many trees as fit into the
  bytes of the default student, fitted on the labels and on the teacher's soft labels
  (each row once for each class, weighted with the probability);
- "mlp": scikit-learn's MLPClassifier with early stopping;
- "realmlp" and "tabm": RealMLP-TD-S and TabM, if pytabkit is installed. TabM has 128
  units a layer, as its default of 512 takes one core half an hour;
- "autogluon": AutoGluon's ensemble of LightGBM, forests and a net, and what its
  ``distill`` makes of it, if autogluon.tabular is installed. From the students it
  takes the one of the best validation score, which may be a blend of LightGBM and a
  net. Each is what ``clone_for_deployment`` leaves, loaded into memory.

Agreement is that with the teacher which the model was distilled from, and with the
first teacher for models that were not distilled. The seconds are those of the last fit:
without the teacher's, and without the search for a number of trees.

Of numbers, the students get the teacher unfitted, so that their seconds contain its
fits. LightGBM learns the labels, the fitted teacher's predictions for the training
rows, and those for made rows too, as many as the student has. There is no TabM.

AutoGluon needs pandas < 3, so it has an environment of its own, of autogluon.tabular
1.6.3 with its extra "lightgbm", torch and skdistill. The others were measured with
pytabkit 1.8.0. Measurements are kept, so the same tables are made in both:

    python benchmarks/peers.py --datasets letter satimage phoneme --seeds 2
    python benchmarks/peers.py --datasets letter --seeds 2 --models autogluon
    python benchmarks/peers.py --target numbers --datasets airfoil --seeds 2
"""

import datetime

import _peers_classes
import _peers_numbers
import pandas as pd
from _measures import by_model
from _peers import AUTOGLUON_SECONDS
from _report import argument_parser, chosen_target, report, store

TARGETS = {"classes": _peers_classes, "numbers": _peers_numbers}
KEY = ["teacher", "max rows", "data", "model", "seed"]
NOTE = (
    f"AutoGluon had {AUTOGLUON_SECONDS} s for the ensemble and as many to distill it. "
    "The machine did other work too, so times are upper bounds. The versions above are "
    "those of the last run."
)


def main():
    target = chosen_target(TARGETS)
    args = parse_args(target)
    setting = {
        "teacher": args.teacher,
        "max rows": args.max_rows,
        "date": datetime.date.today(),
    }
    for data in args.datasets:
        for seed in range(args.first_seed, args.first_seed + args.seeds):
            for record in target.run(data, seed, args):
                record |= {"data": data, "seed": seed}
                store(args.output, target.RECORDS, record | setting, KEY)
                print(data, seed, record["model"], flush=True)
    records = pd.read_csv(args.output / "results" / f"{target.RECORDS}.csv")
    groups = records.groupby(["teacher", "max rows"])
    tables = {
        f"{target.TITLE}, {teacher}, {max_rows} rows": by_model(
            group, target.MODELS, target.METRICS
        )
        for (teacher, max_rows), group in groups
    }
    variant = "" if target is _peers_classes else f"--target {args.target}"
    report(args.output, tables, NOTE, variant)


def parse_args(target):
    parser = argument_parser(__doc__)
    parser.add_argument("--target", default="classes", choices=TARGETS)
    sets, kinds = target.SETS, target.FITTED
    parser.add_argument("--datasets", nargs="+", default=sets, choices=sets)
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--max-rows", type=int, default=8000, help="of training")
    parser.add_argument("--teacher", default="blend", choices=target.TEACHERS)
    parser.add_argument("--models", nargs="+", default=[*kinds], choices=kinds)
    return parser.parse_args()


if __name__ == "__main__":
    main()
