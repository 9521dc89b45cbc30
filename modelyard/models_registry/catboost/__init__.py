"""The model classes of CatBoost, and their predictor."""
