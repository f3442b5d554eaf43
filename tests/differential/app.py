"""A Flask app that only tells what it read.

It has the routing table of the real app and no views: every request, whatever
its path, is noted before it is dispatched, under the X-Request-Id that the
sidecar gave it. GET /_seen on its own port tells the notes and forgets them.

It decides nothing and checks nothing; what it reads is compared elsewhere. The
sidecar's own lookups (X-Request-Id ends with -lookup) are not noted: they are
answered as if everything with the id 7 belonged to the first client of the user.

    app.py {werkzeug|gunicorn} ROUTES     ends when standard input does
"""

import hashlib
import os
import signal
import sys
import threading

from flask import Flask, jsonify, request

app = Flask(__name__, static_folder=None)
seen = []
lock = threading.Lock()


def effective_client():
    """The client as the app takes it: the header, even an empty one, hides the query."""
    named = request.headers.get("X-Client-ID")
    if named is None:
        named = request.args.get("client_id")
    if named is None or named.strip().lower() in ("", "0", "none", "null", "undefined"):
        return None
    try:
        return int(named)
    except ValueError:
        return named


def effective_user():
    try:
        user = int(request.cookies.get("camarad_user_id", ""))
    except ValueError:
        return None
    return user if user > 0 else None


def lookup():
    client = {1: 10, 2: 20}.get(effective_user())
    seven = {"id": 7, "client_id": client, "workspace_slug": "7", "agent_slug": "google-ads"}
    if request.method == "POST":
        return jsonify({"conv_id": 7})
    if request.path == "/api/clients":
        return jsonify([{"id": id} for id in ([10, 11] if client == 10 else [client])])
    if request.path == "/api/client_connectors" and "client_id" in request.args:
        return jsonify([])
    lists = ["/api/client_connectors", "/api/conversations"]
    return jsonify([seven] if request.path in lists else seven)


def conversations(json):
    """Every conversation that a view could read, wherever it looks."""
    named = request.args.getlist("conv_id") + request.form.getlist("conv_id")
    if isinstance(json, dict) and json.get("conv_id") is not None:
        named.append(str(json["conv_id"]))
    return named


@app.before_request
def note():
    if request.path == "/_seen":
        with lock:
            told = list(seen)
            seen.clear()
        return jsonify(told)
    if request.headers.get("X-Request-Id", "").endswith("-lookup"):
        return lookup()
    # Cached, so that forms can be read after it.
    body = request.get_data(cache=True)
    json = request.get_json(force=True, silent=True)
    reading = {
        "id": request.headers.get("X-Request-Id"),
        "method": request.method,
        "path": request.path,
        "rule": str(request.url_rule) if request.url_rule else None,
        "view_args": {name: str(value) for name, value in (request.view_args or {}).items()},
        "query_client": request.args.get("client_id"),
        "query_clients": len(request.args.getlist("client_id")),
        "header_client": request.headers.get("X-Client-ID"),
        "client": effective_client(),
        "user": effective_user(),
        "header_user": request.headers.get("X-User-ID"),
        "user_cookie": request.cookies.get("camarad_user_id"),
        "token_cookie": request.cookies.get("camarad_cb_token"),
        "client_cookie": request.cookies.get("camarad_client_id"),
        "seal_cookie": request.cookies.get("camarad_seal"),
        "authorization": request.headers.get("Authorization"),
        "internal_token": request.headers.get("X-Internal-Token"),
        "source": request.headers.get("X-Camarad-Source"),
        "folded": request.headers.get("X-Folded"),
        "scheme": request.scheme,
        "script_name": request.root_path,
        "forwarded_for": request.headers.get("X-Forwarded-For"),
        "host": request.headers.get("X-Forwarded-Host"),
        "conversations": conversations(json),
        "json_client": json.get("client_id") if isinstance(json, dict) else None,
        "body_length": len(body),
        "body_sha256": hashlib.sha256(body).hexdigest(),
    }
    with lock:
        seen.append(reading)
    return jsonify({"ok": True})


def add_routes(path):
    """One rule per line: METHOD and the pattern as Flask writes it."""
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            method, rule = line.split()
            app.add_url_rule(rule, endpoint=f"{number}", view_func=lambda **_: "", methods=[method])


def say(address):
    print(f"listening on {address[0]}:{address[1]}", flush=True)


def end_with_stdin():
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def with_werkzeug():
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"

        def log(self, *_):
            pass

    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    say(server.server_address)
    server.serve_forever()


def with_gunicorn():
    from gunicorn.app.base import BaseApplication

    class Server(BaseApplication):
        def load_config(self):
            for name, value in {
                "bind": "127.0.0.1:0",
                "workers": 1,
                "worker_class": "gthread",
                "threads": 8,
                "loglevel": "critical",
                "when_ready": lambda arbiter: say(arbiter.LISTENERS[0].sock.getsockname()),
            }.items():
                self.cfg.set(name, value)

        def load(self):
            return app

    Server().run()


if __name__ == "__main__":
    add_routes(sys.argv[2])
    threading.Thread(target=end_with_stdin, daemon=True).start()
    {"werkzeug": with_werkzeug, "gunicorn": with_gunicorn}[sys.argv[1]]()
