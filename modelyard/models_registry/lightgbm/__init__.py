"""The model classes of LightGBM, and their predictor."""
