"""The hashes by which a model knows its training rows again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from modelyard.bootstrap import build
from modelyard.ml_core.row_hashes import RowHashes
from modelyard.ml_core.tasks import TASKS
from modelyard.ml_core.training.orders import order_training
from modelyard.schemas import AliasRequest, PredictRequest, TrainRequest
from modelyard.settings import Settings
from modelyard.storage.folder import Folder
from modelyard.storage.upkeep import backup, doctor
from modelyard.storage.upkeep.repair import repair
from modelyard.tables import FileContent, Reader, Table
from tests.promotions import table, train

KINDS = pl.Enum(["\x00missing", "a", "b"])
FRAME = pl.DataFrame({"size": [1.0, 0.0, None, 2.5], "kind": pl.Series(["a", "b", "\x00missing", "a"], dtype=KINDS)})
TRUTH = np.array([0, 1, 1, 0])
CLASSES = ("no", "yes")

PINNED = (0xDED89F139D7FBC37, 0xE7EEEC750EB8900D, 0xEB0D7017F0366FE8, 0x2CD6B9DEB983F702)
PINNED_NUMBERS = (0x73CC65362C3160FC, 0x1133158F49EBAB9D, 0x44996802D1ACF0F9, 0xCB973DE658E28C8E)
"""The hashes of these rows under a salt of zeros, with targets that are codes and numbers."""


def test_the_file_has_eight_bytes_a_row_and_is_read_as_it_was_written() -> None:
    hashes = RowHashes.of(FRAME, TRUTH, CLASSES)
    content = hashes.to_bytes()
    assert len(content) == 16 + 8 * 4
    read = RowHashes.from_bytes(content)
    assert (read.salt, read.hashes.tolist()) == (hashes.salt, sorted(hashes.hashes.tolist()))
    assert read.hold(FRAME, TRUTH, CLASSES).all()
    assert read.hold(FRAME[::-1], TRUTH[::-1], CLASSES).all()


def test_what_this_release_has_hashed_every_later_one_knows_again() -> None:
    content = bytes(16) + b"".join(number.to_bytes(8, "little") for number in PINNED)
    assert RowHashes.from_bytes(content).hold(FRAME, TRUTH, CLASSES).tolist() == [True] * 4
    numbers = bytes(16) + b"".join(number.to_bytes(8, "little") for number in PINNED_NUMBERS)
    assert RowHashes.from_bytes(numbers).hold(FRAME, TRUTH / 2, ()).tolist() == [True] * 4


@pytest.mark.parametrize(
    "change",
    [
        {"size": [1.0000000000000002, 0.0, None, 2.5]},
        {"size": [None, 0.0, None, 2.5]},
        {"kind": pl.Series(["b", "b", "\x00missing", "a"], dtype=KINDS)},
        {"kind": pl.Series(["\x00missing", "b", "\x00missing", "a"], dtype=KINDS)},
    ],
    ids=["last bit", "missing number", "category", "missing category"],
)
def test_a_row_of_which_one_cell_differs_is_another_one(change: dict[str, Any]) -> None:
    columns = {**FRAME.to_dict(), **change}
    assert RowHashes.of(FRAME, TRUTH, CLASSES).hold(pl.DataFrame(columns), TRUTH, CLASSES).tolist() == [
        False,
        True,
        True,
        True,
    ]


def test_a_row_with_another_target_is_another_one() -> None:
    assert RowHashes.of(FRAME, TRUTH, CLASSES).hold(FRAME, 1 - TRUTH, CLASSES).tolist() == [False] * 4
    assert not RowHashes.of(FRAME, TRUTH, (False, True)).hold(FRAME, TRUTH, ("False", "True")).any()


def test_a_zero_is_a_zero_and_a_category_is_its_text() -> None:
    hashes = RowHashes.of(FRAME, TRUTH, CLASSES)
    other = pl.Enum(["b", "a", "\x00missing", "c"])  # other codes
    columns = {"size": [1.0, -0.0, None, 2.5], "kind": FRAME["kind"].cast(pl.String).cast(other)}
    assert hashes.hold(pl.DataFrame(columns), TRUTH, CLASSES).all()
    assert hashes.hold(FRAME.with_columns(pl.col("kind").cast(pl.String)), TRUTH, CLASSES).all()


def test_two_models_of_one_table_have_no_hash_in_common() -> None:
    first, second = (RowHashes.of(FRAME, TRUTH, CLASSES) for _ in range(2))
    assert not np.isin(first.hashes, second.hashes).any()


def test_more_rows_than_are_hashed_at_once_are_all_known() -> None:
    n = 10_000
    frame, truth = pl.DataFrame({"a": np.arange(n) / 8}), np.arange(n) % 2
    hashes = RowHashes.of(frame, truth, CLASSES)
    assert len(set(hashes.hashes.tolist())) == n
    assert hashes.hold(frame, truth, CLASSES).all()


@pytest.mark.parametrize("sent", ["records", "frame", "csv"])
def test_a_table_to_predict_for_has_the_rows_of_the_training(sent: str) -> None:
    X, y = table(1, n=60)
    plan = order_training(TrainRequest(model_class_key="logistic_regression", X=X, y=y), ()).plan
    contract = plan.table.contract
    hashes = RowHashes.of(contract.expand(plan.table.frame), plan.table.codes, contract.classes)
    forms: dict[str, Any] = {"records": X, "frame": pl.DataFrame(X)}
    forms["csv"] = FileContent(pl.DataFrame(X).write_csv().encode(), "t.csv")
    read = Reader(contract).read_table(forms[sent])
    assert isinstance(read, Table)
    assert TASKS["classification"] is plan.task
    assert hashes.hold(read.frame, plan.table.codes, contract.classes).all()


def test_they_are_in_the_checksums_and_in_the_backup_and_a_repair_goes_on_without_them(tmp_path: Path) -> None:
    root = tmp_path / "yard"
    with build(Settings(storage_dir=root, train_workers=1)) as yard:
        model = yard.train(train("churn", 1, n=60))
        path = root / "artifacts" / model.model_id / "training_rows.bin"
        content = path.read_bytes()
        assert len(content) == 16 + 8 * 60
        backup.create(Folder(root), tmp_path / "yard.tar")
        backup.load(tmp_path / "yard.tar", Folder(tmp_path / "loaded"))
        assert (tmp_path / "loaded" / path.relative_to(root)).read_bytes() == content
        path.write_bytes(content[:-1])
        (finding,) = doctor.examine(Folder(root)).findings
        assert (finding.kind, finding.what) == ("rows", str(path.relative_to(root)))
        assert repair(Folder(root)).is_sound
        assert next(root.glob("quarantine/*/artifacts/*/training_rows.bin")).read_bytes() == content[:-1]
        assert doctor.examine(Folder(root)).findings == []
        assert len(yard.predict(PredictRequest(model_id="churn", X=table(1, n=60)[0])).predictions) == 60
        yard.set_alias("churn", "live", AliasRequest(version=1))
        promotion = yard.train(train("churn", 2, promote={"alias": "live"})).promotion
        assert promotion is not None
        assert promotion.reason.startswith("churn:1 keeps no hashes of its training rows")
