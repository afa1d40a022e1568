#!/usr/bin/env python3
"""Compares two builds of xtask, strategy by strategy, in one interleaved run.

    python3 compare.py OLD_XTASK NEW_XTASK TREES CACHE ROUNDS OUT.json [STRATEGY...]

TREES is a directory made by `cargo xtask fixtures --out TREES`. Each sample is a fresh process (`xtask sample`, as the bench
takes them) that reads one tree once; in each round every strategy of both builds has one turn, in random order. CACHE is warm,
or cold: then every page of the tree is evicted before each sample. Medians, and the median of the ratios new/old of a round,
with the 95% interval of its bootstrap.
"""

import json
import os
import random
import statistics
import subprocess
import sys

old, new, trees, cache, rounds, out, *wanted = sys.argv[1:]
STRATEGIES = wanted or ["sequential", "rayon", "tokio", "async-std", "hybrid", "multiprocess", "io-uring"]
PROFILES = [name for name in ["small", "mixed", "large", "one"] if os.path.isdir(os.path.join(trees, name))]
BUILDS = {"old": old, "new": new}


def files(tree):
    return [os.path.join(at, name) for at, _, names in os.walk(tree) for name in names]


def warm(paths):
    buffer = bytearray(1 << 20)
    for path in paths:
        with open(path, "rb", buffering=0) as file:
            while file.readinto(buffer):
                pass


def evict(paths):
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def sample(build, strategy, tree):
    command = [BUILDS[build], "sample", "--contestant", strategy, "--analysis", "text-stats", "--cache", cache, tree]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def interval(ratios):
    medians = sorted(statistics.median(random.choices(ratios, k=len(ratios))) for _ in range(2000))
    return medians[50], medians[1949]


results = {}
for profile in PROFILES:
    tree = os.path.join(trees, profile)
    paths = files(tree)
    warm(paths)
    turns = [(build, strategy) for build in BUILDS for strategy in STRATEGIES]
    seconds, found = {turn: [] for turn in turns}, set()
    for _ in range(int(rounds)):
        random.shuffle(turns)
        for turn in turns:
            if cache == "cold":
                evict(paths)
            taken = sample(*turn, tree)
            seconds[turn].append(taken["elapsed_s"])
            found.add(json.dumps(taken["found"], sort_keys=True))
    assert len(found) == 1, f"the strategies found different things: {found}"
    results[profile] = {}
    print(f"{profile}, {cache}: {rounds} rounds", flush=True)
    for strategy in STRATEGIES:
        before, after = seconds["old", strategy], seconds["new", strategy]
        ratios = [b / a for a, b in zip(before, after)]
        low, high = interval(ratios)
        results[profile][strategy] = {"old_s": before, "new_s": after}
        print(
            f"  {strategy:13} old {statistics.median(before) * 1e3:8.1f} ms  new {statistics.median(after) * 1e3:8.1f} ms"
            f"  ratio {statistics.median(ratios):5.2f} [{low:.2f}, {high:.2f}]",
            flush=True,
        )
    with open(out, "w") as file:
        json.dump({"cache": cache, "rounds": int(rounds), "profiles": results}, file, indent=1)
