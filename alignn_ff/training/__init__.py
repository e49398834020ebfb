"""Training: a config and labelled structures in, a checkpoint out."""

from alignn_ff.training.committee import train
from alignn_ff.training.config import TrainConfig, load_config
from alignn_ff.training.loop import TrainResult

__all__ = ["TrainConfig", "TrainResult", "load_config", "train"]
