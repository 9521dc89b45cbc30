"""The Open Inference Protocol over REST, under `/v2`."""
