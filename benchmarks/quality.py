"""Compare distilled students with their teacher and with a net of labels alone.

Settings of the package were chosen on some rows of each data set. The test rows are
among the others, which no choice has seen. Each seed gives other training rows,
teachers and initial weights; all models of a seed use the same rows.

The models are the teacher; an honest net of labels alone, of the same widths, with
standardized inputs, 15 % of the rows held out and the best epoch kept; and students. Of
classes, "default" is ``DistilledClassifier(teacher)``; the module ``_classes.py`` has
the others. Of numbers, "fitted teacher" and "student" are ``DistilledRegressor``, with
a fitted teacher and with an unfitted one, whose weight is measured:

    python benchmarks/quality.py --teachers blend boosted --seeds 3
    python benchmarks/quality.py --arms default "no made rows" --datasets letter
    python benchmarks/quality.py --target numbers --teachers blend boosted --seeds 3

Each measurement is added to ``results/quality.csv``, or to ``quality_numbers.csv``, in
place of an earlier one of the same model, and the report is made from all of them. So
the data sets and the teachers may be measured one by one, and by several processes at
the same time. ``--seeds 0`` measures nothing and only makes the report.
"""

import datetime

import _classes
import _numbers
import pandas as pd
from _report import argument_parser, chosen_target, report, store

TARGETS = {"classes": _classes, "numbers": _numbers}


def main():
    target = chosen_target(TARGETS)
    args = parse_args(target)
    setting = {"max rows": args.max_rows, "date": datetime.date.today()}
    if "hidden" in args:
        setting["hidden"] = "-".join(map(str, args.hidden))
    for teacher in args.teachers:
        for data in args.datasets:
            for seed in range(args.first_seed, args.first_seed + args.seeds):
                for record in target.run(data, teacher, seed, args):
                    record |= {"teacher": teacher, "data": data, "seed": seed}
                    if args.no_times:
                        record |= dict.fromkeys(("fit s", "row us"))
                    store(args.output, target.RECORDS, record | setting, target.KEY)
                    print(teacher, data, seed, record["model"], flush=True)
    records = pd.read_csv(args.output / "results" / f"{target.RECORDS}.csv")
    variant = "" if target is _classes else f"--target {args.target}"
    report(args.output, target.tables(records), variant=variant)


def parse_args(target):
    parser = argument_parser(__doc__)
    parser.add_argument("--target", default="classes", choices=TARGETS)
    sets, known = target.SETS, [*target.SETS, *target.ON_REQUEST]
    parser.add_argument("--datasets", nargs="+", default=sets, choices=known)
    parser.add_argument(
        "--on-request",
        dest="datasets",
        action="store_const",
        const=target.ON_REQUEST,
        help="the data sets that are not among the default ones",
    )
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--max-rows", type=int, default=8000, help="of training")
    parser.add_argument(
        "--no-times", action="store_true", help="as the machine does other work too"
    )
    names, arms = target.TEACHERS, target.DEFAULT_ARMS
    parser.add_argument("--teachers", nargs="+", default=["blend"], choices=names)
    parser.add_argument("--arms", nargs="+", default=arms, choices=target.ARMS)
    if target is _classes:
        parser.add_argument("--hidden", type=int, nargs="+", default=[64, 64])
    return parser.parse_args()


if __name__ == "__main__":
    main()
