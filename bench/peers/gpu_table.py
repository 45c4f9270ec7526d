"""Rows of bench/gpu.sh: adds machine, commit and date, writes them as JSON lines and prints a table.

Runs on a GPU machine that has Python and no Node.
"""

import argparse
import datetime
import json
import os
import subprocess


def output_of(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


# All whole rows: the last of a part that ran out of time may be cut.
def read_rows(path):
    rows = []
    with open(path) as file:
        for line in file:
            if not line.startswith("{"):
                continue
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError:
                print(f"not a row: {line.strip()}")
    return rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--out", required=True)
    arguments = parser.parse_args()
    about = {
        "machine": output_of("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"),
        "commit": os.environ.get("COMMIT") or output_of("git", "rev-parse", "--short", "HEAD"),
        "command": f"bench/gpu.sh --model {arguments.model}",
        "date": datetime.date.today().isoformat(),
    }
    rows = read_rows(arguments.rows)
    temporary = arguments.out + ".tmp"
    with open(temporary, "w") as file:
        for row in rows:
            file.write(json.dumps({**row, **about}) + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, arguments.out)

    print(f"{'case':50} {'floor':>12} {'measured':>12} {'ratio':>7}  unit")
    for row in rows:
        floor = "" if row.get("floor") is None else f"{row['floor']:.5g}"
        ratio = "" if row.get("ratio") is None else f"{row['ratio']:.3f}"
        print(f"{row['case']:50} {floor:>12} {row['measured']:>12.5g} {ratio:>7}  {row['unit']}")
    measured = {row["case"]: row["measured"] for row in rows}
    for case, rate in measured.items():
        for peer, peer_rate in measured.items():
            if peer.startswith(case + " transformers"):
                print(f"{case}: {rate / peer_rate:.2f} x {peer[len(case) + 1:]}")


if __name__ == "__main__":
    main()
