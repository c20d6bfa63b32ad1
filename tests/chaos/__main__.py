"""Run the mirror under random faults, then compare: `python -m tests.chaos --duration 600 --seed 7`.

A PostgreSQL and a Redis of its own, workers and a dispatcher. Writers and faults draw from the seed:
the same seed makes the same sequence of operations and faults. The last line is one JSON object; a
mirror that differs from its source, or a promise that did not hold meanwhile, ends the run with 1.
"""

import argparse
import json
import os
import random
import secrets
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from config.embedded.paths import PROJECT, make_private
from tests.platforms import Platform, create_institutions


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__.split("\n")[0])
    parser.add_argument("--duration", type=int, default=600, help="seconds of faults")
    parser.add_argument("--seed", default="", help="replays a run")
    options = parser.parse_args()
    seed = options.seed or secrets.token_hex(4)
    print(f"Seed {seed}: make chaos DURATION={options.duration} SEED={seed} replays this run", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="chaos-", dir=make_private(PROJECT / ".data" / "chaos")))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    platform = Platform(folder)
    is_kept = False
    try:
        platform.start_servers()
        os.environ["DATABASE_URL"], os.environ["REDIS_URL"] = platform.database_url, platform.redis.url
        os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
        import django

        django.setup()
        create_institutions()
        from tests.chaos.run import Run

        figures = Run(platform, seed, random.Random(f"{seed} faults")).go(time.monotonic() + options.duration)
        is_kept = bool(figures["divergent"])
        print(json.dumps({**figures, "seed": seed}), flush=True)
        return int(is_kept)
    except KeyboardInterrupt:
        print("Stopped.", flush=True)
        return 130
    finally:
        # Whoever presses Ctrl-C again would leave half of it running.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        platform.stop()
        if is_kept:
            print(f"The servers' data and logs are kept in {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
