"""Distillation: sample structures, have any ASE calculator label them, train a potential on the labels."""
