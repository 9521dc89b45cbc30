"""The Open Inference Protocol, version 2, as far as REST and gRPC share it: tensors, questions, answers, metadata.

A tensor is a column of a table, or a whole table of numbers. What its cells mean is decided in `tables`, who may ask
and which model is meant in the core.
"""

from modelyard.open_inference.answers import BY_DEFAULT, PROBABILITIES, Output, outputs_of, parameters_of
from modelyard.open_inference.metadata import about_model, about_server
from modelyard.open_inference.questions import InferenceRequest, reference_of, table_of, wants
from modelyard.open_inference.tensors import DATATYPES, Tensor, one_cell, packed

__all__ = [
    "BY_DEFAULT",
    "DATATYPES",
    "PROBABILITIES",
    "InferenceRequest",
    "Output",
    "Tensor",
    "about_model",
    "about_server",
    "one_cell",
    "outputs_of",
    "packed",
    "parameters_of",
    "reference_of",
    "table_of",
    "wants",
]
