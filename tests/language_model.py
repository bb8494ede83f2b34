"""A local server in place of a language model: it answers as it is told and remembers what it was asked."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

GOOD = '{"knowledge": 2, "reasoning": 4, "overall": 3}'


class Fake:
    """An endpoint whose answer to each request is `answer(number, payload)`: text, (status, text, headers), or an action."""

    def __init__(self):
        self.seen, self.headers, self.answer, self.busy, self.most = [], [], lambda n, p: GOOD, 0, 0
        lock, fake = threading.Lock(), self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    fake.seen.append(payload)
                    fake.headers.append(dict(self.headers))
                    number = len(fake.seen)
                    fake.busy += 1
                    fake.most = max(fake.most, fake.busy)
                try:
                    said = fake.answer(number, payload)
                finally:
                    with lock:
                        fake.busy -= 1
                if said is None:  # break off without a word
                    self.close_connection = True
                    self.connection.shutdown(2)
                    return
                status, text, headers = said if isinstance(said, tuple) else (200, wrapped(said), {})
                raw = text.encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"


def wrapped(content):
    return json.dumps(
        {"choices": [{"message": {"content": content}}], "usage": {"prompt_tokens": 100, "completion_tokens": 20}}
    )
