"""What do the parts of NAR-Former V2 bring for latency? The published ablation (table 5) and comparison (table 6).

    python benchmarks/latency_ablation.py --out benchmarks/results/latency-ablation

``--predictor``, on the measured data set that comes with nasx; unless given, the quick preset with the published
readout, the sum of the nodes. Table 5, ``in-domain``: attention along edges alone; with the feed-forward in groups;
with the type-aware enhancement (the preset). Table 6, ``leave-one-family-out`` with EfficientNet left out: attention
along edges, and to all nodes. Each part is trained on the same networks, ``--repeats`` times with other seeds. Writes
what ``nasx evaluate --out`` writes.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import nasx

DATA = "latency-xeon-1thread"
IN_DOMAIN: dict[str, dict[str, Any]] = {
    "graph-aided attention": {"groups": 1, "enhanced": False},
    "+ grouped feed-forward": {"enhanced": False},
    "+ type-aware enhancement": {},
}
LEFT_OUT: dict[str, dict[str, Any]] = {"global attention": {"attention": "global"}, "graph-aided attention": {}}


def main() -> None:
    """Measures, writes, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--predictor", default="nar-former-v2:network,readout=sum,epochs=15")
    parser.add_argument("--family", default="efficientnet", help="the family left out")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--train-size", default="all", help="networks that train")
    parser.add_argument("--tables", type=int, nargs="+", default=[5, 6])
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    from nasx.family_splits import LeaveOneFamilyOut

    bench = nasx.load_benchmark(DATA)
    for table, parts, split in (
        (5, IN_DOMAIN, "in-domain"),
        (6, LEFT_OUT, LeaveOneFamilyOut(family=arguments.family)),
    ):
        if table not in arguments.tables:
            continue
        report = nasx.evaluate(
            {part: nasx.make_predictor(arguments.predictor, options=options) for part, options in parts.items()},
            bench,
            train_sizes=arguments.train_size,
            split=split,
            repeats=arguments.repeats,
            out=arguments.out.with_name(f"{arguments.out.name}-table-{table}"),
            progress=lambda done, total: print(f"{done} of {total}", flush=True),
        )
        rows = report.table()
        rows = rows[rows["family"] == ("all" if table == 5 else arguments.family)]
        print(f"table {table}\n| | MAPE, % | Acc(10 %) | Acc(5 %) |\n|---|---|---|---|")
        for part in parts:
            columns = rows.loc[rows["predictor"] == part, ["mape_percent", "acc_10_percent", "acc_5_percent"]]
            shown = [f"{columns[name].mean():.2f} ± {columns[name].std():.2f}" for name in columns]
            print(f"| {part} | {' | '.join(shown)} |")


if __name__ == "__main__":
    main()
