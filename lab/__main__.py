"""``python -m lab``: run faults and controls on real servers, print the scores."""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import psycopg

from lab.cases import cases
from lab.score import Score, score, summary, table
from scaledoctor.demo.fault import Fault
from scaledoctor.demo.servers.child import ServerFailed
from scaledoctor.demo.trial import trial
from scaledoctor.errors import Exit, ScaledoctorError


def main(arguments: Sequence[str]) -> int:
    """Run the chosen cases, one after the other; 1 when one of them fails its bar."""
    known = cases()
    options = _parser().parse_args(arguments)
    unknown = [name for name in options.names if name not in known]
    if unknown:
        sys.stderr.write(f"lab: no case {unknown[0]!r}; cases: {', '.join(known)}\n")
        return Exit.USAGE
    chosen = [known[name] for name in options.names or known]
    scores: list[Score] = []
    try:
        for one in run(chosen, options.seeds):
            scores.append(one)
            if one.problem and not options.keep_going:
                break
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except ScaledoctorError as error:
        sys.stderr.write(f"lab: {error}\n")
        return error.code
    print(f"{table(scores)}\n\n{summary(scores)}")
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in scores], indent=2) + "\n")
    return Exit.FINDINGS if any(one.problem for one in scores) else Exit.OK


def run(chosen: Sequence[Fault], seeds: Sequence[int]) -> Iterator[Score]:
    """Yield the score of every case with every seed, as soon as it is there."""
    for seed in seeds:
        for fault in chosen:
            began = time.monotonic()
            if reason := fault.impossible() or fault.topology.missing():
                one = Score(fault.name, seed, fault.healthy, skipped=reason)
            else:
                one = _score(fault, seed)
            took = time.monotonic() - began
            what = one.problem or one.skipped or "passed"
            sys.stderr.write(f"{fault.name} seed {seed}: {what} ({took:.0f} s)\n")
            if one.problem:
                sys.stderr.write(f"    the verdict was: {one.verdict}\n")
            sys.stderr.flush()
            yield one


def _score(fault: Fault, seed: int) -> Score:
    try:
        return score(trial(fault, seed))
    except (ServerFailed, psycopg.Error, OSError) as error:
        return Score(fault.name, seed, fault.healthy, problem=f"did not run: {error}"[:200])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lab", description="Faults with a known right answer.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="cases; all of them by default")
    parser.add_argument("--seeds", type=_seeds, default=[0], metavar="0,1,2",
                        help="names, sizes and rates of the shop (default: 0)")  # fmt: skip
    parser.add_argument("--keep-going", action="store_true", help="go on after a failure")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the scores there too")
    return parser


def _seeds(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
