"""What trainings of potentials and of properties are told alike: data, where they lie, and how weights are learned."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

from pydantic import Field, field_validator, model_validator

from alignn_ff.schema import Strict

D = TypeVar("D", bound="Data")
S = TypeVar("S", bound="Steering")
K = TypeVar("K", bound="Keeping")


class Data(Strict):
    """Which structures there are, and how they are parted."""

    data: tuple[str, ...] = Field(
        description="labelled structures: ASE-readable files, id_prop.json, id_prop.csv or a folder with one; or "
        "jarvis:NAME, a data set of jarvis-tools"
    )
    validation_data: tuple[str, ...] = Field(default=(), description="validate on these files, not on a part of `data`")
    n_train: int | None = Field(default=None, ge=1, description="structures to train on; else train_ratio")
    n_val: int | None = Field(default=None, ge=0, description="structures to validate on; else val_ratio")
    n_test: int | None = Field(default=None, ge=0, description="structures kept for a test; else test_ratio")
    train_ratio: float = Field(default=0.8, gt=0, le=1)
    val_ratio: float = Field(default=0.1, ge=0, lt=1)
    test_ratio: float = Field(default=0.1, ge=0, lt=1)
    keep_data_order: bool = Field(default=False, description="split in the order of the data instead of at random")
    random_seed: int = Field(default=123, description="of the initial weights, the order of batches and the split")

    @field_validator("data", "validation_data", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return several(value)

    @model_validator(mode="after")
    def _some_of_each(self: D) -> D:
        if not self.data:
            raise ValueError("`data` is empty; name at least one file of labelled structures")
        if self.train_ratio + self.val_ratio + self.test_ratio > 1 + 1e-9:
            raise ValueError("train_ratio, val_ratio and test_ratio add up to more than 1")
        return self


class Steering(Strict):
    """How weights follow the gradient, how long and on what."""

    epochs: int = Field(default=300, ge=1)
    learning_rate: float = Field(default=0.01, gt=0, description="peak of the schedule")
    optimizer: Literal["adamw", "soap", "sgd"] = Field(
        default="adamw",
        description="soap learns more from each epoch than adamw; it takes a fifth to a half longer (ADR 011)",
    )
    momentum: float = Field(
        default=0.9,
        ge=0,
        lt=1,
        description="of sgd; onecycle lets it fall by 0.05 below while the rate is high, and rise by 0.05 above",
    )
    weight_decay: float = Field(default=0.0, ge=0)
    scheduler: Literal["onecycle", "cosine", "plateau", "none"] = "onecycle"
    lr_total_epochs: int | None = Field(
        default=None,
        ge=1,
        description="epochs of the schedule where they are not `epochs`; a run resumed may then have other `epochs`",
    )
    plateau_patience: int = Field(default=10, ge=0, description="epochs without gain before plateau halves the rate")
    gradient_clip: float | None = Field(default=10.0, gt=0, description="largest norm of a gradient")
    ema_decay: float = Field(
        default=0.999, ge=0, lt=1, description="of the averaged weights that are validated and kept"
    )
    n_early_stopping: int | None = Field(default=None, ge=1, description="stop after so many epochs without gain")

    device: Literal["auto", "cpu", "cuda"] = "auto"
    dtype: Literal["float32", "float64"] = "float32"
    use_amp: bool = Field(
        default=False,
        description="multiply matrices of training in bfloat16 (autocast), whose rounding adds noise to what is "
        "learned from: 1 to 15 meV/atom and 5 meV/Å in the embedded models; validation is as exact as ever",
    )
    gpu_memory_fraction: float | None = Field(
        default=None, gt=0, le=1, description="share of the memory of the GPU that this process may take"
    )

    @model_validator(mode="after")
    def _steered_as_asked(self: S) -> S:
        if self.optimizer != "sgd" and self.momentum != type(self).model_fields["momentum"].default:
            raise ValueError(f"momentum {self.momentum} is for optimizer sgd; {self.optimizer} has moments of its own")
        if self.lr_total_epochs is not None and self.scheduler not in ("onecycle", "cosine"):
            raise ValueError(f"lr_total_epochs is for the schedules onecycle and cosine; {self.scheduler} has no end")
        if self.use_amp and self.dtype != "float32":
            raise ValueError(f"use_amp trades exactness for speed, dtype {self.dtype} the other way; leave out one")
        return self


class Keeping(Strict):
    """Where structures and their graphs lie, and who makes batches of them; no step depends on it."""

    graph_cache_mb: float = Field(default=2000.0, ge=0, description="memory for edges of data held in memory")
    use_lmdb: bool | None = Field(
        default=None, description="keep data on disk and read them batch by batch; where data exceed 100 MB unless told"
    )
    cache_dir: str | None = Field(
        default=None, description="folder of data kept on disk, which stay there; else they go with the run"
    )
    read_existing: bool = Field(
        default=False, description="refuse what lies in cache_dir and was made from other data, instead of replacing it"
    )
    cache_limit_gb: float = Field(
        default=20.0, ge=0, description="graphs larger than this are not kept on disk but found anew each time"
    )
    num_workers: int = Field(
        default=0, ge=0, description="processes that make batches of training ahead; 0 makes them where it trains"
    )
    prefetch_factor: int = Field(default=2, ge=1, description="batches that each of these processes makes ahead")
    pin_memory: bool = Field(
        default=False, description="hand batches over in memory that a GPU copies from directly; needs a GPU"
    )

    @model_validator(mode="after")
    def _somewhere_to_read(self: K) -> K:
        if self.read_existing and self.cache_dir is None:
            raise ValueError("`read_existing` is about what lies in `cache_dir`; give that folder")
        if self.use_lmdb is False and self.cache_dir is not None:
            raise ValueError("`cache_dir` keeps data on disk, and `use_lmdb` false keeps them in memory; leave out one")
        return self


def several(value: Any) -> Any:
    """A single name as one of several."""
    return (value,) if isinstance(value, str) else value
