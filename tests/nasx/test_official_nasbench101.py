"""The official NAS-Bench-101 files: every number, every damage, and a fuzz test."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nasx import official_nasbench101
from nasx.official_nasbench101 import message_class, read
from nasx.search_spaces.errors import NasxError, UsageError
from nasx.search_spaces.nasbench101 import NASBench101
from nasx.table_file import Table
from nasx.tfrecord import framed
from tests.nasx.miniature_nasbench101 import Run, message, payload, runs_of, write

CELLS = (423_000, 7, 100_000, 0)
SPACE = NASBench101()

# The first record of nasbench_full.tfrecord, as quoted in public (Apache-2.0).
PUBLISHED = (
    "Ci0JAAAAAAAAAAARAAAAAAAAAAAZAAAAoKqquT8hAAAAYJAGuT8pAAAAAGmQuT8KLQkAAAAAAAAAQBEAAADAdJNGQBkAAABgkAa6PyEAAAAg3/K6"
    "PykAAACAy7e6PwotCQAAAAAAABBAEQAAACDbeVZAGQAAAEAaZNY/IQAAAGBVVdY/KQAAAODybdY/EIqYigQZAABAhznbeUA="
)
PUBLISHED_RUN = Run(
    "00005c142e6f48ac74fdcf73e3439874",
    4,
    "0100110001000000010010000010000001000000010000000",
    "input,conv3x3-bn-relu,maxpool3x3,conv3x3-bn-relu,conv3x3-bn-relu,conv1x1-bn-relu,output",
    8555530,
    [
        (0.0, 0.0, 0.1002604141831398, 0.09775640815496445, 0.09985977411270142),
        (2.0, 45.152000427246094, 0.10166265815496445, 0.10526842623949051, 0.10436698794364929),
        (4.0, 89.90399932861328, 0.34985977411270142, 0.3489583432674408, 0.35046073794364929),
    ],
    413.70154500007629,
)


@pytest.fixture
def runs() -> list[Run]:
    return list(runs_of(CELLS))


@pytest.fixture
def file(tmp_path: Path, runs: list[Run]) -> Path:
    return write(tmp_path / "nasbench_only108.tfrecord", runs)


def equal(first: Table, second: Table) -> bool:
    return (
        np.array_equal(first.architectures, second.architectures)
        and first.metrics == second.metrics
        and all(np.array_equal(first.columns[name], second.columns[name]) for name in first.metrics)
    )


def checked(path: Path, records: list[bytes]) -> Path:
    """A file whose checksums are right, whatever is in it."""
    path.write_bytes(b"".join(map(framed, records)))
    return path


def test_published_bytes() -> None:
    """The published message reads as the numbers the official package shows; ours are the published bytes."""
    assert base64.b64encode(message(PUBLISHED_RUN)).decode() == PUBLISHED
    metrics = message_class().FromString(base64.b64decode(PUBLISHED))
    assert metrics.trainable_parameters == PUBLISHED_RUN.parameters
    assert metrics.total_time == PUBLISHED_RUN.total_time
    fields = ("current_epoch", "training_time", "train_accuracy", "validation_accuracy", "test_accuracy")
    assert [tuple(getattr(e, field) for field in fields) for e in metrics.evaluation_data] == PUBLISHED_RUN.evaluations
    assert metrics.SerializeToString() == base64.b64decode(PUBLISHED)


def test_published_record() -> None:
    """The whole record as published: 401 bytes of JSON between these checksums."""
    record = framed(payload(PUBLISHED_RUN))
    assert record[:12] == bytes([145, 1, 0, 0, 0, 0, 0, 0, 0x98, 0x25, 0xED, 0x9B])
    assert record[-4:] == bytes([0x68, 0x16, 0x69, 0x03])


def test_base64_without_lines(tmp_path: Path, file: Path, runs: list[Run]) -> None:
    plain = [payload(run).replace(b"\\n", b"") for run in runs]
    assert len(plain[0]) == len(payload(runs[0])) - 6
    assert equal(read(checked(tmp_path / "plain", plain)), read(file))


def test_published_record_as_a_table(tmp_path: Path) -> None:
    table = read(write(tmp_path / "one.tfrecord", [PUBLISHED_RUN] * 3))
    assert SPACE.module_hash(SPACE.architecture(int(table.architectures[0]))) == PUBLISHED_RUN.module_hash
    assert table.columns["test_accuracy_4_epochs_seed2"].tolist() == [0.35046073794364929]
    assert table.columns["halfway_training_seconds_4_epochs_mean"].tolist() == [45.152000427246094]
    assert table.columns["trainable_parameters"].tolist() == [8555530]


def test_every_number(file: Path, runs: list[Run]) -> None:
    table = read(file)
    assert (table.name, table.dataset, table.licence) == ("nasbench101", "cifar10", "Apache-2.0")
    assert table.target == "validation_accuracy_108_epochs_mean"
    assert table.architectures.tolist() == list(CELLS)  # in the order of the file
    assert len(table.columns) == 1 + 2 * 4 * 4
    for row in range(len(CELLS)):
        own = runs[3 * row : 3 * row + 3]
        assert table.columns["trainable_parameters"][row] == own[0].parameters
        for stage, place in (("halfway_", 1), ("", 2)):
            for column, quantity in enumerate(
                ("training_seconds", "training_accuracy", "validation_accuracy", "test_accuracy"), 1
            ):
                numbers = [run.evaluations[place][column] for run in own]
                names = [f"{stage}{quantity}_108_epochs_seed{seed}" for seed in range(3)]
                assert [table.columns[name][row] for name in names] == numbers
                mean = table.columns[f"{stage}{quantity}_108_epochs_mean"][row]
                assert mean == pytest.approx(sum(numbers) / 3, rel=1e-15)


def test_meaning_of_the_columns(file: Path) -> None:
    metrics = read(file).metrics
    accuracy = metrics["halfway_test_accuracy_108_epochs_seed1"]
    assert (accuracy.quantity, accuracy.unit, accuracy.direction) == ("halfway_test_accuracy", "fraction", "maximize")
    assert (accuracy.epochs, accuracy.seed) == (108, 1)
    seconds = metrics["training_seconds_108_epochs_mean"]
    assert (seconds.quantity, seconds.unit, seconds.direction, seconds.seed) == (
        *("training_seconds", "s", "minimize"),
        "mean",
    )
    assert metrics["trainable_parameters"].direction == "minimize"


def test_all_epochs(tmp_path: Path) -> None:
    runs = list(runs_of(CELLS, epochs=(4, 12, 36, 108)))
    table = read(write(tmp_path / "full.tfrecord", runs))
    assert (table.name, table.target) == ("nasbench101-full", "validation_accuracy_108_epochs_mean")
    assert len(table.columns) == 1 + 4 * 32
    for number, run in enumerate(runs):
        row, seed = number // 12, number % 3
        assert table.columns[f"test_accuracy_{run.epochs}_epochs_seed{seed}"][row] == run.evaluations[2][4]
    assert not any(table.missing.values())


def test_order_of_records_is_free(tmp_path: Path, file: Path, runs: list[Run]) -> None:
    """Runs of a cell need not follow each other: seeds count them in the order of the file."""
    mixed = [runs[3 * cell + repeat] for repeat in range(3) for cell in range(len(CELLS))]
    assert equal(read(write(tmp_path / "mixed", mixed)), read(file))


def test_blocks(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    whole = read(file)
    monkeypatch.setattr(official_nasbench101, "_BLOCK", 5)
    assert equal(read(file), whole)


def test_columns_keep_every_digit(tmp_path: Path, runs: list[Run]) -> None:
    """Single-precision numbers are kept in single precision, others in double."""
    evaluations = [(*runs[0].evaluations[0],), runs[0].evaluations[1], (108.0, 100.1, 0.1, 0.2, 0.25)]
    table = read(write(tmp_path / "double", [replace(runs[0], evaluations=evaluations), *runs[1:]]))
    assert table.columns["training_accuracy_108_epochs_seed0"].dtype == np.float64
    assert table.columns["training_accuracy_108_epochs_seed0"][0] == 0.1
    assert table.columns["training_accuracy_108_epochs_seed1"].dtype == np.float32


def test_other_numbering_of_a_cell(tmp_path: Path) -> None:
    """The file may number the nodes otherwise than we do, and leave dead nodes in."""
    cell = SPACE.cell("0110/0001/0001/0000", ["input", "conv1x1-bn-relu", "maxpool3x3", "output"])
    run = next(runs_of([SPACE.index(cell)]))
    renumbered = replace(
        run, adjacency="0111000001000010000000000", operations="input,maxpool3x3,conv1x1-bn-relu,maxpool3x3,output"
    )
    assert read(write(tmp_path / "file", [renumbered] * 3)).architectures.tolist() == [SPACE.index(cell)]


def test_no_nodes_within(tmp_path: Path) -> None:
    table = read(write(tmp_path / "file", runs_of([0])))
    assert SPACE.format(SPACE.architecture(int(table.architectures[0]))) == "01/00;input,output"


def test_progress(file: Path) -> None:
    reports: list[tuple[int, int]] = []
    read(file, progress=lambda done, total: reports.append((done, total)))
    assert reports[-1] == (file.stat().st_size, file.stat().st_size)


def test_many_cells_use_the_kept_hashes(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    known = np.zeros(SPACE.size, dtype="S32")
    for index in CELLS:
        known[index] = SPACE.module_hash(SPACE.architecture(index))
    monkeypatch.setattr(official_nasbench101, "BULK", 2)
    monkeypatch.setattr(official_nasbench101, "all_module_hashes", lambda: known)
    assert len(read(file)) == len(CELLS)


def damage(kind: str, runs: list[Run]) -> tuple[list[Run], str]:
    """Runs with one thing wrong, and what the sentence must say."""
    first, half, final = runs[4].evaluations
    wrong, say = {
        "hash": (replace(runs[4], module_hash="0" * 32), r"has 1 runs of 108 epochs|another hash"),
        "epochs": (replace(runs[4], epochs=100), r"record 5 .* 100 epochs; known: 4, 12, 36, 108"),
        "bool": (replace(runs[4], epochs=True), "record 5 .* True epochs"),
        "adjacency": (replace(runs[4], adjacency="0100010"), "record 5 .* 7 digits is not square"),
        "operations": (replace(runs[4], operations="input,conv,output"), "record 5 .* is another one in record 4"),
        "parameters": (replace(runs[4], parameters=1), "record 5 .* has 1 parameters, but .* in record 4"),
        "short hash": (replace(runs[3], module_hash="ABC"), "record 4 .* not 32 hexadecimal digits"),
        "one evaluation": (replace(runs[4], evaluations=[first]), "record 5 .* 1 evaluations instead of 3"),
        "accuracy": (replace(runs[4], evaluations=[first, half, (108, 9, 0.5, 93.0, 0.5)]), "between 0 and 1: .*93.0"),
        "nan": (replace(runs[4], evaluations=[first, (54, 9, 0.5, np.nan, 0.5), final]), "between 0 and 1: .*nan"),
        "seconds": (replace(runs[4], evaluations=[first, (54, -1, 0.5, 0.5, 0.5), final]), "times are -1.0 s"),
    }[kind]
    place = 3 if kind == "short hash" else 4
    return [*runs[:place], wrong, *runs[place + 1 :]], say


@pytest.mark.parametrize(
    "kind",
    [
        *("hash", "epochs", "bool", "adjacency", "operations", "parameters", "short hash", "one evaluation"),
        *("accuracy", "nan", "seconds"),
    ],
)
def test_wrong_contents(tmp_path: Path, runs: list[Run], kind: str) -> None:
    wrong, say = damage(kind, runs)
    with pytest.raises(NasxError, match=say) as error:
        read(write(tmp_path / "file", wrong))
    assert "\n" not in str(error.value)


def test_wrong_hash_or_cell(tmp_path: Path, runs: list[Run]) -> None:
    other = [*runs[:3], *(replace(run, module_hash="0" * 32) for run in runs[3:6]), *runs[6:]]
    with pytest.raises(
        NasxError, match=r"the cell 0{32} \(record 4, byte [\d,]+\) of .* has another hash, [0-9a-f]{32}"
    ):
        read(write(tmp_path / "file", other))
    cut = [*runs[:3], *(replace(run, adjacency="0" * len(run.adjacency)) for run in runs[3:6]), *runs[6:]]
    with pytest.raises(NasxError, match=r"the cell [0-9a-f]{32} \(record 4, byte [\d,]+\) of .* is none: "):
        read(write(tmp_path / "file", cut))


def test_same_cell_under_two_hashes(tmp_path: Path, runs: list[Run]) -> None:
    again = [replace(run, module_hash="1" * 32) for run in runs[:3]]
    with pytest.raises(NasxError, match=r"the cell 1{32} .* has another hash"):
        read(write(tmp_path / "file", [*runs, *again]))


def test_repeats(tmp_path: Path, runs: list[Run]) -> None:
    with pytest.raises(NasxError, match=r"record 13 .* is repeated: these would be more than 3 runs of 108 epochs"):
        read(write(tmp_path / "more", [*runs, runs[0]]))
    with pytest.raises(NasxError, match=r"incomplete: the cell \w+ \(record 10, .*\) has 2 runs of 108 epochs .* of 3"):
        read(write(tmp_path / "fewer", runs[:-1]))  # a file cut between two records
    full = list(runs_of(CELLS, epochs=(4, 108)))
    with pytest.raises(NasxError, match=r"incomplete: .* has 0 runs of 108 epochs"):
        read(write(tmp_path / "epochs", full[:-3]))


@pytest.mark.parametrize(
    ("contents", "say"),
    [
        (b"\x0a\x10binary example\xff", "it is not JSON"),
        (b"{}", "it is no list"),
        (b"[1, 2]", "it is no list"),
        (b'["a", [4], "b", "c", "d"]', "another structure"),
        (b'["a", 4, ["b"], "c", "d"]', "another structure"),
        (b'["a", 4, 5, "c", "d"]', "adjacency is not a text"),
        (b'["a", 4, "0100", {}, "d"]', "another structure"),
        (b'["a", 4, "0100", "c", 5]', "no message ModelMetrics"),
        (b'["a", 4, "0100", "c", "*"]', "no message ModelMetrics"),
        (b'["a", 4, "0100", "c", "\xc3\xa9"]', "no message ModelMetrics"),
        (b'["a", 4, "0100", "c", "////"]', "no message ModelMetrics"),
        (b'["a", 4, "0100", "c", ""]', "0 evaluations instead of 3"),
        (b'["a", 4, "0100", "c", "CgAKAAoA"]', "not complete; they need training_time"),
        (b"[" * 100_000, "another structure"),
    ],
)
def test_records_of_other_kinds(tmp_path: Path, contents: bytes, say: str) -> None:
    with pytest.raises(NasxError, match=rf"record 1 \(byte 0\) of .* is not of NAS-Bench-101: .*{say}"):
        read(checked(tmp_path / "cifar.tfrecord", [contents]))


def test_zero_is_a_value_where_it_is_written(tmp_path: Path, runs: list[Run]) -> None:
    evaluations = [*runs[0].evaluations[:2], (108.0, 0.0, 0.0, 0.0, 0.0)]
    table = read(write(tmp_path / "file", [replace(run, evaluations=evaluations) for run in runs[:3]]))
    assert table.columns["test_accuracy_108_epochs_mean"].tolist() == [0.0]


def test_other_files(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(NasxError, match="holds no record"):
        read(tmp_path / "empty")
    (tmp_path / "page").write_text("<html>quota exceeded</html>")
    with pytest.raises(NasxError, match="no TFRecord file"):
        read(tmp_path / "page")
    with pytest.raises(UsageError, match="there is no file"):
        read(tmp_path / "absent")


def mutated(original: bytes, rng: np.random.Generator) -> bytes:
    """A few bytes changed, cut out, put in, repeated, or the end cut off."""
    result = bytearray(original)
    for _ in range(int(rng.integers(1, 4))):
        place = int(rng.integers(len(result)))
        count = int(rng.integers(1, 30))
        match int(rng.integers(6)):
            case 0 | 1:
                result[place] = int(rng.integers(256))
            case 2:
                del result[place : place + count]
            case 3:
                result[place:place] = rng.bytes(count)
            case 4:
                result[place:place] = result[place : place + count]
            case _:
                del result[max(place, 1) :]
        if not result:
            break
    return bytes(result)


def outcome(path: Path) -> Table | str:
    """The table, or the sentence; any other exception is a failure."""
    try:
        return read(path)
    except NasxError as error:
        sentence = str(error)
    assert "\n" not in sentence
    assert str(path) in sentence
    return sentence


def test_fuzz_bytes(file: Path) -> None:
    """Any damage of the file gives the very same table or a sentence."""
    original, truth = file.read_bytes(), read(file)
    rng = np.random.default_rng(0)
    sentences = 0
    for _ in range(2500):
        contents = mutated(original, rng)
        file.write_bytes(contents)
        found = outcome(file)
        if isinstance(found, str):
            sentences += 1
        else:
            rows = len(found)
            assert contents == original[: len(contents)]  # cut where a cell ends: fewer cells, all of them right
            assert found.architectures.tolist() == truth.architectures[:rows].tolist()
            assert all(np.array_equal(found.columns[name], truth.columns[name][:rows]) for name in truth.columns)
    assert sentences > 2400


def test_fuzz_contents(tmp_path: Path, runs: list[Run]) -> None:
    """Records with changed contents under right checksums: never anything but a table or a sentence."""
    rng = np.random.default_rng(1)
    records = [payload(run) for run in runs]
    tables = 0
    for _ in range(1500):
        place = int(rng.integers(len(records)))
        if rng.random() < 0.5:
            changed = mutated(records[place], rng)
        else:  # in the message itself
            entry = json.loads(records[place])
            entry[4] = base64.b64encode(mutated(base64.b64decode(entry[4]), rng)).decode()
            changed = json.dumps(entry).encode()
        found = outcome(checked(tmp_path / "file", [*records[:place], changed, *records[place + 1 :]]))
        if isinstance(found, Table):
            tables += 1
            for name, column in found.columns.items():
                assert np.isfinite(column).all()
                if "accuracy" in name:
                    assert column.min() >= 0
                    assert column.max() <= 1 + 1e-6
    assert 0 < tables < 1500
