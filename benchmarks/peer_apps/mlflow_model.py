"""MLflow: write the estimator of BENCH_MODEL as an MLflow model into the folder that is the first argument."""

import os
import sys

import joblib
import mlflow

estimator = joblib.load(os.environ["BENCH_MODEL"])
flavor = mlflow.catboost if type(estimator).__module__.startswith("catboost") else mlflow.sklearn
options = {} if flavor is mlflow.catboost else {"serialization_format": "cloudpickle"}
kind = "cb_model" if flavor is mlflow.catboost else "sk_model"
flavor.save_model(**{kind: estimator}, path=sys.argv[1], pip_requirements=[], **options)
