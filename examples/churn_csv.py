"""Print a made-up table of 3,000 customers, of whom 10 % leave, as CSV: something to decide about."""

import csv
import math
import random
import sys

draw = random.Random(7)
table = csv.writer(sys.stdout, lineterminator="\n")
table.writerow(["months", "contract", "price", "support_calls", "churn"])
for _ in range(3000):
    months, contract = draw.randint(1, 72), draw.choice(["monthly", "yearly"])
    price, calls = round(draw.uniform(20, 100), 2), min(int(draw.expovariate(0.8)), 9)
    log_odds = -2.6 - months / 30 + 1.4 * (contract == "monthly") + (price - 60) / 40 + 0.5 * calls
    leaves = draw.random() < 1 / (1 + math.exp(-log_odds))
    table.writerow([months, contract, price, calls, "yes" if leaves else "no"])
