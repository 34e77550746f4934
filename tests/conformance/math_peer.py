"""Grades JSON lines of gold and prediction with Math-Verify: a JSON object by line with its verdict and processor time.

Run: python math_peer.py CASES.jsonl   (math-verify 0.9)
"""
import json
import logging
import sys
import time

from math_verify import parse, verify

logging.disable(logging.CRITICAL)
rows = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]


def graded(row):
    gold, answer = row["gold"], row["prediction"]
    # A gold is an expression without its dollars, which is how Math-Verify finds it.
    return bool(verify(parse(gold if "$" in gold else f"${gold}$"), parse(answer)))


# Once before: what is loaded on the first call is not counted.
graded({"gold": "\\frac{1}{2}", "prediction": "$0.5$"})
for row in rows:
    began = time.process_time()
    try:
        correct = graded(row)
    except Exception:
        correct = False
    print(json.dumps({"correct": correct, "micros": round((time.process_time() - began) * 1e6)}), flush=True)
