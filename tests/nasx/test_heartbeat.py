"""Signs of life, judged by the watcher's own clock."""

from __future__ import annotations

import time

import optuna

from nasx.heartbeat import Heart, Watch


def signs(**beats: int) -> dict[str, dict[str, float]]:
    return {worker: {"beat": beat, "every": 10.0} for worker, beat in beats.items()}


def test_six_silent_heartbeats_are_death_and_one_beat_is_life() -> None:
    watch = Watch()
    for look in range(7):
        watch.look(signs(quiet=1, alive=look), now=10.0 * look)
        assert watch.dead("quiet") == (look >= 6)
        assert not watch.dead("alive")
    watch.look(signs(quiet=2, alive=8), now=70.0)
    assert not watch.dead("quiet")


def test_a_pause_of_the_watcher_kills_nobody() -> None:
    watch = Watch()
    watch.look(signs(other=1), now=0.0)
    watch.look(signs(other=1), now=100_000.0)  # it slept, or the database was away
    assert not watch.dead("other")


def test_who_left_is_dead_at_once() -> None:
    watch = Watch()
    watch.look({"other": {"beat": 5, "every": 10.0, "left": True}}, now=0.0)
    assert watch.dead("other")


def test_hearts_of_one_study_watch_each_other() -> None:
    study = optuna.create_study()
    one, other = Heart(study, 0.05), Heart(study, 0.05)
    one.start()
    other.start()
    assert not one.dead(other.worker)  # it joined after the last look
    assert not one.dead(one.worker)
    assert one.dead("nobody")
    other._stop.set()  # as SIGKILL does: no goodbye
    end = time.monotonic() + 20
    while not one.dead(other.worker):
        assert time.monotonic() < end
        time.sleep(0.02)
    one.stop()


def test_alone_in_a_study_all_others_are_dead() -> None:
    heart = Heart(optuna.create_study(), 0.0)
    heart.start()
    assert heart.dead("anybody")
    assert not heart.dead(heart.worker)
