"""Starts the emulator of AWS, on a port of the system's choice unless one is given, and says where: `listening at http://127.0.0.1:PORT`."""

import argparse
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
# More than a thousand images of AWS's own take a second to load in each region, and no test wants them.
os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")

from emulator.app import MotoPlus  # noqa: E402
from moto.moto_server.werkzeug_app import MotoRequestHandler  # noqa: E402
from werkzeug.serving import make_server  # noqa: E402


class Quiet(MotoRequestHandler):
    """Without a line for each request."""

    def log_request(self, *_: object) -> None:
        """Nothing."""

    def log(self, type: str, message: str, *args: object) -> None:
        """Failures only."""
        if type == "error" and "injected" not in message % args:
            super().log(type, message, *args)


class Staying(Quiet):
    """With connections that stay, as AWS's do. Werkzeug ends each with its answer, and waits a moment for what may still come."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def run_wsgi(self) -> None:
        """Answers one request. Each answer has its length, and what was asked was read to its end."""
        told: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], *_: object) -> None:
            told[:] = [status, headers]

        try:
            parts = self.server.app(self.make_environ(), start)
            status, _, words = told[0].partition(" ")
            self.send_response(int(status), words)
            for name, value in told[1]:
                self.send_header(name, value)
            self.end_headers()
            for part in parts:
                self.wfile.write(part)
        except ConnectionError:
            self.close_connection = True


def main() -> None:
    """Until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--regions", default="us-east-1,eu-west-1", help="those that accounts have")
    parser.add_argument("--closed-regions", default="me-south-1", help="those that accounts have not opted in to")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep-alive", action="store_true", help="connections stay, as AWS's do")
    args = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app = MotoPlus(args.regions.split(","), args.closed_regions.split(","), args.seed)
    server = make_server("127.0.0.1", args.port, app, threaded=True, request_handler=Staying if args.keep_alive else Quiet)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    print(f"listening at http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
