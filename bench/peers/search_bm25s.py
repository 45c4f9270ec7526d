# bm25s on the passages and queries that "node bench/search.ts --dump <folder>" writes: same answers, and its times.
# Usage: pip install bm25s==0.3.11 numpy; python bench/peers/search_bm25s.py <folder>
import json
import sys
import time

import bm25s
import numpy

TOP_K = 10
# Scores are float32 here: sums of up to 7 terms, rounded a few times each.
RELATIVE_BOUND = 16 * 2**-24


def row(case, unit, measured):
    print(json.dumps({"case": case, "unit": unit, "measured": measured, "peer": f"bm25s {bm25s.__version__}"}))


def read_lines(folder, name):
    with open(f"{folder}/{name}") as file:
        return file.read().splitlines()


def main(folder):
    passages = [line.split() for line in read_lines(folder, "passages.txt")]
    queries = [line.split() for line in read_lines(folder, "queries.txt")]
    answers = [json.loads(line) for line in read_lines(folder, "answers.jsonl")]

    start = time.process_time()
    index = bm25s.BM25(method="lucene", k1=0.9, b=0.4)
    index.index(passages, show_progress=False)
    row("build, from terms", "CPU s", time.process_time() - start)

    times, worst, same = [], 0.0, 0
    for query, answer in zip(queries, answers):
        repeats = []
        for _ in range(3):
            start = time.perf_counter()
            ordinals, scores = index.retrieve([query], k=TOP_K, show_progress=False)
            repeats.append((time.perf_counter() - start) * 1000)
        times.append(min(repeats))
        ours = numpy.array([score for _, score in answer])
        theirs = scores[0][: len(ours)]
        worst = max(worst, float(numpy.max(numpy.abs(ours - theirs) / theirs, initial=0.0)))
        same += [ordinal for ordinal, _ in answer] == ordinals[0][: len(ours)].tolist()
    for name, q in [("p20", 20), ("p50", 50), ("p80", 80), ("p99", 99)]:
        row(f"query {name}, best of 3", "ms", float(numpy.percentile(times, q)))
    row("largest relative difference of scores at a rank", "", worst)
    row("queries with the same passages in order (the others differ in ties of float32)", "share", same / len(queries))
    if worst > RELATIVE_BOUND:
        sys.exit(f"expected scores within {RELATIVE_BOUND}, received {worst}")


main(sys.argv[1])
