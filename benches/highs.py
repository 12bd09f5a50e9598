"""Solves exported programs with HiGHS and compares the objectives.

    cargo bench --bench plan -- --export DIR
    python3 -m venv venv && venv/bin/pip install highspy
    venv/bin/python benches/highs.py DIR

Presolve is off: with it, HiGHS 1.15 calls some small well-scaled models infeasible that are not.
CPU time is of one thread and includes nothing but the solve.
"""

import pathlib
import sys
import time

import highspy


def main() -> None:
    worst = 0.0
    print(f"{'problem':24} {'HiGHS EUR':>14} {'here EUR':>14} {'gap':>9} {'HiGHS ms':>9}")
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.mps")):
        with path.open() as file:
            here = float(file.readline().split()[-1])
        solver = highspy.Highs()
        solver.setOptionValue("output_flag", False)
        solver.setOptionValue("presolve", "off")
        solver.setOptionValue("threads", 1)
        solver.readModel(str(path))
        begin = time.process_time()
        solver.run()
        spent = 1e3 * (time.process_time() - begin)
        if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            sys.exit(f"{path.name}: HiGHS says {solver.getModelStatus()}")
        there = solver.getInfo().objective_function_value
        gap = (here - there) / max(1.0, abs(there))
        worst = max(worst, abs(gap))
        print(f"{path.stem:24} {there:14.6f} {here:14.6f} {gap:9.1e} {spent:9.2f}")
    print(f"worst relative gap {worst:.1e}")


if __name__ == "__main__":
    main()
