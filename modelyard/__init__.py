"""Modelyard: train, judge, serve and retire tabular classification models behind four doors."""

__version__ = "0.1.0"
