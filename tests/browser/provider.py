"""A small OpenID Connect provider on this machine, for tests: it signs in whoever its one page is asked to."""

import base64
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

CLIENT, SECRET = "quadrant-test", "not-a-secret"


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Provider:
    """`url` is its issuer; `who` are the claims of the next sign-in."""

    def __init__(self):
        from cryptography.hazmat.primitives.asymmetric import rsa

        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.who = {"sub": "1", "email": "ada@clinic.org", "email_verified": True, "name": "Ada Meyer"}
        self.codes: dict[str, dict] = {}
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                provider.answer(self, urlsplit(self.path))

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                provider.token(self, parse_qs(body))

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, handler, asked) -> None:
        if asked.path == "/.well-known/openid-configuration":
            self._json(handler, {
                "issuer": self.url, "authorization_endpoint": f"{self.url}/authorize", "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/keys", "response_types_supported": ["code"], "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
            })  # fmt: skip
        elif asked.path == "/keys":
            numbers = self.key.public_key().public_numbers()
            told = {
                name: _b64(n.to_bytes((n.bit_length() + 7) // 8, "big"))
                for name, n in (("n", numbers.n), ("e", numbers.e))
            }
            self._json(handler, {"keys": [{"kty": "RSA", "kid": "1", "use": "sig", "alg": "RS256", **told}]})
        elif asked.path == "/authorize":
            query = {name: values[0] for name, values in parse_qs(asked.query).items()}
            code = f"code{len(self.codes)}"
            self.codes[code] = {**self.who, **({"nonce": query["nonce"]} if "nonce" in query else {})}
            handler.send_response(302)
            handler.send_header(
                "Location", f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"
            )
            handler.end_headers()
        else:
            handler.send_error(404)

    def token(self, handler, form) -> None:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding

        now = int(time.time())
        claims = {**self.codes.pop(form["code"][0]), "iss": self.url, "aud": CLIENT, "iat": now, "exp": now + 3600}
        head = {"alg": "RS256", "typ": "JWT", "kid": "1"}
        text = ".".join(_b64(json.dumps(part).encode()) for part in (head, claims))
        signed = self.key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
        self._json(handler, {
            "access_token": "x", "token_type": "Bearer", "expires_in": 3600, "id_token": f"{text}.{_b64(signed)}",
        })  # fmt: skip

    def _json(self, handler, told) -> None:
        body = json.dumps(told).encode()
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)
