"""Kills a search at random moments and resumes it, until it is done; then compares it with an undisturbed one.

    python benchmarks/chaos.py --kills 20 --seed 0              # one process: the same history, byte for byte
    python benchmarks/chaos.py --kills 20 --seed 0 --workers 3  # worker processes: every evaluation exactly once

The search is ``nasx search`` on NAS-Bench-201 with a made-up objective and tree ensembles; it is killed with SIGKILL,
so that it can clean up nothing. Each attempt is forked from this process, which has imported everything already, so
that most of its time is search. The result is printed as JSON; the exit code is 0 if nothing was lost and nothing was
done twice.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

_OBJECTIVE = """
import time

def objective(cell):
    time.sleep({pause})
    if cell[0] == cell[1] == "none":
        raise RuntimeError("cannot be trained")
    return cell.count("nor_conv_3x3") + 0.5 * cell.count("nor_conv_1x1") - 0.1 * cell.count("none")
"""


def command(arguments: Sequence[str], folder: Path) -> int:
    """Starts ``nasx`` with these arguments in a process of its own; returns its id."""
    pid = os.fork()
    if pid:
        return pid
    os.setsid()  # its worker processes are not ours
    log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    try:
        from nasx.cli import main

        sys.argv = ["nasx", *arguments]
        main()
    except SystemExit as stop:
        os._exit(int(stop.code or 0))
    except BaseException:
        import traceback

        traceback.print_exc()
        os._exit(99)
    os._exit(0)


def survive(pid: int, seconds: float) -> int | None:
    """Kills a process after so many seconds; its exit code if it ended before."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


def chaos(
    folder: Path, kills: int, seed: int, workers: int, budget: int, pause: float, predictor: str
) -> dict[str, object]:
    """Runs the search twice, once disturbed; returns what came of it."""
    (folder / "chaos_objective.py").write_text(_OBJECTIVE.format(pause=pause))
    os.chdir(folder)
    fresh = ["search", "--space", "nasbench201", "--objective", "chaos_objective:objective"]
    fresh += [
        "--predictor",
        predictor,
        "--strategy",
        "random",
        "--budget",
        str(budget),
        "--initial",
        "12",
        "--batch",
        "8",
        "--candidates",
        "200",
    ]
    fresh += ["--workers", str(workers)] if workers else []
    begun = time.monotonic()
    if survive(command([*fresh, "--out", "undisturbed"], folder), 600) != 0:
        raise SystemExit(f"the undisturbed search failed: {(folder / 'log').read_text()}")
    seconds = time.monotonic() - begun
    dice, killed, starts = random.Random(seed), 0, 0
    while True:
        starts += 1
        again = Path("disturbed", "config.json").exists()
        arguments = ["search", "--resume", "disturbed"] if again else [*fresh, "--out", "disturbed"]
        left = 600.0 if killed >= kills else dice.uniform(0.0, max(0.3, 2.5 * seconds / (kills + 1)))
        code = survive(command(arguments, folder), left)
        if code is None:
            killed += 1
        elif code != 0:
            raise SystemExit(f"start {starts} ended with code {code}: {(folder / 'log').read_text()}")
        else:
            break
    return {
        "kills": killed, "seed": seed, "workers": workers, "budget": budget, "predictor": predictor,
        "pause_seconds": pause,
        "undisturbed_seconds": round(seconds, 1), **verdict(folder, workers, budget),
    }  # fmt: skip


def verdict(folder: Path, workers: int, budget: int) -> dict[str, object]:
    """What the two run folders say."""
    import optuna

    from nasx.storages import open_storage

    states = optuna.trial.TrialState
    study = optuna.load_study(study_name="nasx", storage=open_storage(folder / "disturbed" / "journal.log"))
    trials = study.get_trials(deepcopy=False)
    done = [trial for trial in trials if trial.state in (states.COMPLETE, states.FAIL)]
    keys = {trial.user_attrs["key"] for trial in done}
    histories = [(folder / name / "history.csv").read_text() for name in ("undisturbed", "disturbed")]
    bests = [json.loads((folder / name / "summary.json").read_text()) for name in ("undisturbed", "disturbed")]
    return {
        "evaluations": len(done),
        "architectures": len(keys),
        "left_behind": sum(trial.state == states.PRUNED for trial in trials),
        "open": sum(not trial.state.is_finished() for trial in trials),
        "same_history": histories[0] == histories[1],
        "best_undisturbed": bests[0]["best_value"],
        "best_disturbed": bests[1]["best_value"],
        "sound": len(done) == len(keys) == budget
        and all(trial.state.is_finished() for trial in trials)
        and (workers > 0 or histories[0] == histories[1]),
    }


def main() -> None:
    """Reads the options, and says what happened."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--budget", type=int, default=60)
    parser.add_argument("--pause", type=float, default=0.05, help="seconds an evaluation takes")
    parser.add_argument("--predictor", default="trees")
    options = parser.parse_args()
    import optuna  # noqa: F401
    import sklearn.ensemble  # noqa: F401

    import nasx.cli
    import nasx.search_loop  # noqa: F401

    with tempfile.TemporaryDirectory() as folder:
        result = chaos(Path(folder), **vars(options))
        os.chdir("/")
    print(json.dumps({"command": " ".join(["python", *sys.argv]), **result}, indent=2))
    sys.exit(0 if result["sound"] else 1)


if __name__ == "__main__":
    main()
