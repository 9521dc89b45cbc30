"""gRPC: the same verbs as every door, under a typed contract that other languages can compile (`modelyard.proto`)."""
