"""Where evaluations run: in this process, or in worker processes that may hang or die without harm to the search."""

from __future__ import annotations

import hashlib
import math
import signal
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, NamedTuple

from nasx.benchmark import Benchmark, BudgetSpent
from nasx.interrupts import deaf_children, hear_again
from nasx.search_spaces.errors import NasxError, UsageError

Measured = tuple[Any, str | None]
"""What was measured (mostly a number) and None, or NaN and the reason why there is nothing."""

Measure = Callable[[Callable[[Any], Any], Hashable], Measured]
"""Asks an objective for what is to be measured of an architecture."""

_loaded: dict[str, Callable[[Any], Any]] = {}  # the objective a worker process has unpacked, by its digest


def measure(objective: Callable[[Any], Any], architecture: Hashable) -> tuple[float, str | None]:
    """Asks an objective for the value of an architecture.

    Whatever it raises, and whatever it returns that is no finite number, is a failed evaluation with a reason. Only
    :class:`~nasx.benchmark.BudgetSpent` and an interrupt pass through.

    >>> measure(len, "abc"), measure(lambda a: "high", "abc"), measure(lambda a: 1 / 0, "abc")
    ((3.0, None), (nan, "the objective returned 'high', not a number"), (nan, 'ZeroDivisionError: division by zero'))
    """
    try:
        answer = objective(architecture)
        if answer is None or isinstance(answer, (str, bytes)):
            return math.nan, f"the objective returned {answer!r:.80}, not a number"
        value = float(answer)
    except BudgetSpent:
        raise
    except (Exception, SystemExit) as error:  # what a user's objective raises costs one evaluation, not the search
        return math.nan, f"{type(error).__name__}: {error}"
    if not math.isfinite(value):
        return math.nan, f"the objective returned {value}"
    return value, None


class Unloadable(NasxError):
    """An objective that cannot be packed, or not be unpacked where it was sent."""


class Call:
    """An objective on its way to a worker: called with an architecture, it answers as its ``how`` does.

    In this process it is the objective itself. Sent to another one it travels by value (cloudpickle), so that functions
    of ``__main__``, notebooks and lambdas arrive too; a worker process unpacks it once, not once an evaluation.

    Args:
        objective: The objective.
        how: How it is asked; :func:`measure` asks for one number. It is pickled when it is sent.

    Raises:
        Unloadable: When it is sent and cannot be packed, or called where it cannot be unpacked.

    >>> Call(len)("four")
    (4.0, None)
    """

    def __init__(self, objective: Callable[[Any], Any], how: Measure = measure) -> None:
        self._objective: Callable[[Any], Any] | None = objective
        self._how = how
        self._packed: bytes | None = None
        self._digest = ""

    def pack(self) -> None:
        """Packs the objective now, to learn whether it can travel.

        Raises:
            Unloadable: If it cannot.
        """
        if self._packed is None:
            import cloudpickle

            try:
                self._packed = cloudpickle.dumps(self._objective)
            except Exception as error:
                raise Unloadable(
                    f"the objective cannot be sent to a worker process ({type(error).__name__}: {error}); open files, "
                    "connections and locks inside the function, or pass a concurrent.futures.ThreadPoolExecutor as "
                    "executor"
                ) from error
            self._digest = hashlib.sha256(self._packed).hexdigest()

    def __call__(self, architecture: Hashable) -> Measured:
        """What was measured of an architecture, or NaN and a reason."""
        return self._how(self._objective or self._unpacked(), architecture)

    def prepare(self) -> None:
        """Unpacks the objective in a fresh worker process, before any evaluation's time runs."""
        with suppress(Unloadable):  # the first evaluation will say it
            self._objective or self._unpacked()

    def _unpacked(self) -> Callable[[Any], Any]:
        if self._digest not in _loaded:
            import cloudpickle

            assert self._packed is not None
            try:
                objective = cloudpickle.loads(self._packed)
            except Exception as error:
                raise Unloadable(
                    f"the objective cannot be loaded in a worker ({type(error).__name__}: {error}); what it imports "
                    "must be installed there, or lie in the folder that the worker was started in"
                ) from None
            _loaded.clear()
            _loaded[self._digest] = objective
        return _loaded[self._digest]

    def __getstate__(self) -> dict[str, Any]:
        """The packed objective, whatever packs this object."""
        self.pack()
        return {"_objective": None, "_how": self._how, "_packed": self._packed, "_digest": self._digest}


class InlineExecutor(Executor):
    """Evaluates in the calling thread, one at a time: ``submit`` returns when the work is done."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Calls the function; interrupts pass through."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class ProcessWorkers(Executor):
    """Worker processes that survive what an objective does to them.

    One evaluation that hangs longer than ``timeout`` has its process ended; one that exits, runs out of memory or
    crashes loses its process. Either way the future says so, and a new process takes the place. Processes are started
    afresh, not forked (a fork after PyTorch has used its threads may hang), and do not import ``__main__`` again, so
    that no ``if __name__ == "__main__"`` is needed.

    Args:
        workers: How many processes.
        timeout: Seconds that one evaluation may take; None for as long as it likes.
        prepare: Called in every new process before its first evaluation; the time it takes does not count.

    >>> with ProcessWorkers(1) as pool:
    ...     pool.submit(max, 3, 7).result()
    7
    """

    def __init__(self, workers: int, timeout: float | None = None, prepare: Callable[[], None] | None = None) -> None:
        self.timeout, self._max_workers, self._prepare = timeout, workers, prepare
        self._pool: Any = None
        self._start()

    def _start(self) -> None:
        from joblib.externals.loky.backend import get_context
        from pebble import ProcessPool

        self._pool = ProcessPool(
            max_workers=self._max_workers, initializer=partial(_begin, self._prepare), context=get_context("loky")
        )

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Schedules a call; a pool that broke down is replaced first."""
        with deaf_children():  # the first call starts the threads that start the processes
            try:
                return self._pool.schedule(fn, args=args, kwargs=kwargs, timeout=self.timeout)  # type: ignore[no-any-return]
            except RuntimeError:
                self._start()
                return self._pool.schedule(fn, args=args, kwargs=kwargs, timeout=self.timeout)  # type: ignore[no-any-return]

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Ends the processes; those at work too if the futures are to be cancelled.

        Processes that are ended are always waited for, which takes a moment: one that is just being started, and loses
        whoever starts it, prints a traceback.
        """
        if cancel_futures:
            self._pool.stop()
        else:
            self._pool.close()
        if wait or cancel_futures:
            self._pool.join()

    def __exit__(self, kind: type[BaseException] | None, error: object, traceback: object) -> None:
        """Ends the processes; after an error, such as an interrupt, those at work too."""
        self.shutdown(cancel_futures=kind is not None)


def _begin(prepare: Callable[[], None] | None) -> None:
    """The first thing a worker process does."""
    hear_again()
    if prepare is not None:
        prepare()


def answer(future: Future[Measured], timeout: float | None = None, *, broken_is_fatal: bool = True) -> Measured:
    """What came of an evaluation in a worker: its answer, or NaN and what happened to the worker.

    Args:
        future: The future of the evaluation; it has ended.
        timeout: The seconds it was given, for the sentence.
        broken_is_fatal: Whether an executor that broke down stays so.

    Raises:
        NasxError: If no further evaluation would fare better: the objective cannot be loaded, the executor is broken,
            what the objective returns makes no sense at all, the benchmark's budget is spent.
    """
    if future.cancelled():
        return math.nan, "the evaluation was cancelled"
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, (BudgetSpent, Unloadable, UsageError)):
        raise error
    if isinstance(error, (TimeoutError, FutureTimeout)):
        return math.nan, f"no answer within {timeout:g} s; its process was ended" if timeout else f"timed out: {error}"
    if type(error).__name__ == "ProcessExpired":
        return math.nan, _death(getattr(error, "exitcode", None))
    if isinstance(error, BrokenExecutor) and broken_is_fatal:
        raise NasxError(
            f"the executor broke down ({type(error).__name__}: {error}); what was evaluated is in the storage"
        ) from error
    return math.nan, f"{type(error).__name__}: {error}"


def _death(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name if -code in signal.valid_signals() else f"signal {-code}"
        memory = ", perhaps for want of memory" if name == "SIGKILL" else ""
        return f"the worker process was killed by {name}{memory}"
    return f"the worker process ended with exit code {code}"


class Workplace(NamedTuple):
    """Where evaluations run.

    Attributes:
        executor: The executor.
        slots: How many evaluations may be under way in it at once.
        call: What is sent there: the objective.
    """

    executor: Executor
    slots: int
    call: Call

    @property
    def inline(self) -> bool:
        """Whether this process waits for each evaluation, and may die of it."""
        return isinstance(self.executor, InlineExecutor)


@contextmanager
def evaluating(
    objective: Any, workers: int | None, executor: Executor | None, timeout: float | None, how: Measure = measure
) -> Iterator[Workplace]:
    """Where evaluations run; what is made here is ended here.

    Args:
        objective: The objective; a benchmark is asked in threads, for it counts its queries.
        workers: How many at once, or None.
        executor: Where, or None for processes of this machine.
        timeout: Seconds an evaluation may take, or None.
        how: How it is asked.

    Raises:
        UsageError: If the numbers make no sense.
        Unloadable: If the objective cannot be sent there.
    """
    call = Call(objective, how)
    if timeout is not None and not timeout > 0:
        raise UsageError(f"a timeout of {timeout:g} seconds leaves no time to evaluate; type a larger one")
    if workers is not None and workers < 1:
        raise UsageError(f"{workers} workers evaluate nothing; type at least 1")
    if executor is not None:
        if not isinstance(executor, ThreadPoolExecutor):
            call.pack()  # to learn now, not after a claim, whether it can travel
        yield Workplace(executor, slots_of(executor, workers), call)
        return
    made: Executor
    if isinstance(objective, Benchmark):
        made = InlineExecutor() if workers is None else ThreadPoolExecutor(workers, "nasx-benchmark")
    elif workers is None and timeout is None:
        made = InlineExecutor()
    else:
        call.pack()
        made = ProcessWorkers(workers or 1, timeout, call.prepare)
    try:
        yield Workplace(made, workers or 1, call)
    except BaseException:
        made.shutdown(wait=False, cancel_futures=True)
        raise
    made.shutdown(wait=True)


def slots_of(executor: Executor, workers: int | None) -> int:
    """How many evaluations are to be under way at once in an executor.

    Args:
        executor: The executor.
        workers: What the caller said, or None.

    Raises:
        UsageError: If nobody said and the executor does not tell.
    """
    found = workers if workers is not None else getattr(executor, "_max_workers", None)
    if found is None:
        raise UsageError("this executor does not say how many evaluations may run at once; say it with workers=N")
    if found < 1:
        raise UsageError(f"{found} workers evaluate nothing; type at least 1")
    return int(found)
