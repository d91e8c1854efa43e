#!/usr/bin/env python3
# A folder as other programs fetch it: curl with its ranges, conditions, compression and resumption, and Python.
import contextlib
import email
import gzip
import http.client
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest
import urllib.parse

from http_proxy_test import example
from support import LOCALHOST, WAIT_S

MIB = 1024 * 1024


class StaticFiles(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        stack = contextlib.ExitStack()
        cls.addClassCleanup(stack.close)
        cls.folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="coax-folder-")))
        cls.root = cls.folder / "root"
        cls.root.mkdir()
        (cls.folder / "secret").write_bytes(b"secret")
        cls.long = os.urandom(3 * MIB)
        (cls.root / "long.bin").write_bytes(cls.long)
        (cls.root / "index.html").write_bytes(b"<p>index")
        cls.script = b"let x = 1;\n" * 1000
        (cls.root / "x.js").write_bytes(cls.script)
        (cls.root / "x.js.gz").write_bytes(gzip.compress(cls.script))
        port, _ = stack.enter_context(example("http_folder", str(cls.root)))
        cls.port = port
        cls.url = f"http://{LOCALHOST}:{port}"

    def curl(self, path: str, *words: str) -> bytes:
        if not shutil.which("curl"):
            self.skipTest("curl is not installed")
        command = ["curl", "-s", "--max-time", str(WAIT_S), *words, self.url + path]
        return subprocess.run(command, capture_output=True, check=True, timeout=WAIT_S).stdout

    def get(self, path: str, **fields: str) -> tuple[http.client.HTTPResponse, bytes]:
        server = http.client.HTTPConnection(LOCALHOST, self.port, timeout=WAIT_S)
        server.request("GET", path, headers={name.replace("_", "-"): value for name, value in fields.items()})
        response = server.getresponse()
        body = response.read()
        server.close()
        return response, body

    def test_curl_fetches_files(self) -> None:
        self.assertEqual(self.curl("/"), b"<p>index")
        self.assertEqual(self.curl("/long.bin"), self.long)

    def test_curl_fetches_ranges(self) -> None:
        self.assertEqual(self.curl("/long.bin", "-r", "100-199"), self.long[100:200])
        self.assertEqual(self.curl("/long.bin", "-r", "-7"), self.long[-7:])
        self.assertEqual(self.curl("/long.bin", "-r", "3000000-"), self.long[3000000:])
        self.assertEqual(self.curl("/long.bin", "-r", "0-0,2-2,4-4").count(b"Content-Range: bytes "), 3)
        self.assertEqual(self.curl("/long.bin", "-r", f"{3 * MIB}-", "-o", os.devnull, "-w", "%{http_code}"), b"416")

    def test_curl_resumes_a_download(self) -> None:
        partial = self.folder / "partial.bin"
        for size in (0, 1, MIB, 3 * MIB - 1):
            partial.write_bytes(self.long[:size])
            self.curl("/long.bin", "-C", "-", "-o", str(partial))
            self.assertEqual(partial.read_bytes(), self.long, size)

    def test_curl_fetches_what_is_newer(self) -> None:
        copy = self.folder / "copy.bin"
        self.curl("/long.bin", "-R", "-o", str(copy))
        self.assertEqual(int(copy.stat().st_mtime), int((self.root / "long.bin").stat().st_mtime))
        status = self.curl("/long.bin", "-z", str(copy), "-o", os.devnull, "-w", "%{http_code}")
        self.assertEqual(status, b"304")
        status = self.curl("/long.bin", "-z", "Sun, 06 Nov 1994 08:49:37 GMT", "-o", os.devnull, "-w", "%{http_code}")
        self.assertEqual(status, b"200")

    def test_curl_compares_etags(self) -> None:
        etag = self.folder / "etag"
        self.curl("/long.bin", "--etag-save", str(etag), "-o", os.devnull)
        status = self.curl("/long.bin", "--etag-compare", str(etag), "-o", os.devnull, "-w", "%{http_code}")
        self.assertEqual(status, b"304")

    def test_curl_decompresses(self) -> None:
        self.assertEqual(self.curl("/x.js", "--compressed"), self.script)
        self.assertIn(b"Content-Encoding: gzip\r\n", self.curl("/x.js", "--compressed", "-I"))
        self.assertEqual(self.curl("/x.js"), self.script)

    def test_paths_as_they_are_stay_in_the_folder(self) -> None:
        for path in ("/../secret", "/%2e%2e/secret", "/..%2fsecret", "/x/../../secret", "//../secret"):
            self.assertNotIn(b"secret", self.curl(path, "--path-as-is"), path)

    def test_python_parses_multipart_ranges(self) -> None:
        response, body = self.get("/long.bin", Range="bytes=0-99,200000-399999,-5")
        self.assertEqual(response.status, 206)
        head = f"Content-Type: {response.headers['Content-Type']}\r\n\r\n".encode()
        message = email.message_from_bytes(head + body)
        self.assertEqual([part["Content-Range"] for part in message.get_payload()],
                         [f"bytes 0-99/{3 * MIB}", f"bytes 200000-399999/{3 * MIB}",
                          f"bytes {3 * MIB - 5}-{3 * MIB - 1}/{3 * MIB}"])
        for expected in (self.long[:100], self.long[200000:400000], self.long[-5:]):
            self.assertIn(b"\r\n\r\n" + expected + b"\r\n--", body)

    def test_names_of_all_kinds_are_found(self) -> None:
        for name in ("a b.txt", "Grüße.txt", "100%.txt", "what?.txt", "a#b.txt", "a+b.txt", "a\\b.txt", "a'\"<b>.txt"):
            (self.root / name).write_text(name)
            response, body = self.get("/" + urllib.parse.quote(name))
            self.assertEqual((response.status, body.decode()), (200, name))


if __name__ == "__main__":
    unittest.main()
