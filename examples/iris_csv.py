"""Write scikit-learn's iris table as a CSV file to standard output: 150 flowers, 3 species."""

import csv
import sys

from sklearn.datasets import load_iris

iris = load_iris()
writer = csv.writer(sys.stdout, lineterminator="\n")
writer.writerow(["sepal_length", "sepal_width", "petal_length", "petal_width", "species"])
for cells, code in zip(iris.data.tolist(), iris.target, strict=True):
    writer.writerow([*cells, iris.target_names[code]])
