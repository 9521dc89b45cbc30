"""The linear model classes: logistic regression, its features and its predictor."""
