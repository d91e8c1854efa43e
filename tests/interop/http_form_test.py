#!/usr/bin/env python3
# Forms as other programs send them: curl, Python's requests where it is installed, and its standard library.
import contextlib
import http.client
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest
import urllib.parse

from http_proxy_test import example
from support import LOCALHOST, WAIT_S

try:
    import requests
except ImportError:
    requests = None

MIB = 1024 * 1024


class Forms(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        stack = contextlib.ExitStack()
        cls.addClassCleanup(stack.close)
        port, _ = stack.enter_context(example("http_form"))
        cls.port = port
        cls.folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="coax-form-")))
        cls.url = f"http://{LOCALHOST}:{port}/upload"

    def file(self, name: str, content: bytes) -> pathlib.Path:
        path = self.folder / name
        path.write_bytes(content)
        return path

    def curl(self, *words: str) -> dict:
        if not shutil.which("curl"):
            self.skipTest("curl is not installed")
        command = ["curl", "-s", "--max-time", str(WAIT_S), *words, self.url]
        return json.loads(subprocess.run(command, capture_output=True, check=True, timeout=WAIT_S).stdout)

    def post(self, content_type: str, body: bytes) -> tuple[int, bytes]:
        server = http.client.HTTPConnection(LOCALHOST, self.port, timeout=WAIT_S)
        server.request("POST", "/upload", body, {"Content-Type": content_type})
        response = server.getresponse()
        result = response.status, response.read()
        server.close()
        return result

    def test_curl_sends_fields_and_files(self) -> None:
        short = self.file("a b.txt", b"hello")
        long = self.file("long.bin", os.urandom(3 * MIB))
        answer = self.curl("-F", "title=Grüße", "-F", f"file=@{short}", "-F", f"file=@{long};type=image/png")
        self.assertEqual(answer, {"title": "Grüße", "files": [{"name": "a b.txt", "type": "text/plain", "size": 5},
                                                             {"name": "long.bin", "type": "image/png",
                                                              "size": 3 * MIB}]})

    def test_curl_escapes_names_in_both_ways(self) -> None:
        path = self.file("x", b"1")
        for escape in ([], ["--form-escape"]):
            answer = self.curl(*escape, "-F", f"file=@{path};filename=\"a\\\"b;c\"")
            self.assertEqual([file["name"] for file in answer["files"]], ['a"b;c'], escape)

    def test_curl_sends_urlencoded_fields(self) -> None:
        self.assertEqual(self.curl("--data-urlencode", "title=a b&c=ä+")["title"], "a b&c=ä+")

    def test_curl_sends_chunks(self) -> None:
        path = self.file("chunked", bytes(200_000))
        answer = self.curl("-H", "Transfer-Encoding: chunked", "-F", f"file=@{path}")
        self.assertEqual(answer["files"][0]["size"], 200_000)

    @unittest.skipUnless(requests, "python3-requests is not installed")
    def test_requests_sends_fields_and_files(self) -> None:
        name = "naïve \"x\".txt"
        answer = requests.post(self.url, data={"title": "t"}, files={"file": (name, b"abc", "text/csv")},
                               timeout=WAIT_S).json()
        self.assertEqual(answer["title"], "t")
        self.assertEqual([(file["type"], file["size"]) for file in answer["files"]], [("text/csv", 3)])
        self.assertEqual(answer["files"][0]["name"], name)

    def test_python_sends_urlencoded_fields(self) -> None:
        body = urllib.parse.urlencode({"title": "ä\n\"&=+%"}).encode()
        status, text = self.post("application/x-www-form-urlencoded", body)
        self.assertEqual((status, json.loads(text)["title"]), (200, "ä\n\"&=+%"))

    def test_refused_bodies_have_a_status_and_a_reason(self) -> None:
        many = "&".join(f"a{number}" for number in range(101)).encode()
        table = [("text/plain", b"x", 415), ("multipart/form-data", b"x", 400),
                 ("multipart/form-data; boundary=b", b"--b\r\n", 400),
                 ("application/x-www-form-urlencoded", many, 413),
                 ("multipart/form-data; boundary=b", bytes(11 * MIB), 413)]
        for content_type, body, status in table:
            with self.subTest(content_type, status=status), contextlib.suppress(BrokenPipeError, ConnectionResetError):
                answer = self.post(content_type, body)
                self.assertEqual(answer[0], status)
                self.assertTrue(answer[1].startswith(str(status).encode()), answer)


if __name__ == "__main__":
    unittest.main()
