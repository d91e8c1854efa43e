#!/usr/bin/env python3
# coax http as browsers, curl and Python use it: listings, archives, uploads, logins, TLS and the end.
import contextlib
import http.client
import io
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import tarfile
import tempfile
import unittest
import urllib.parse
import zipfile

import support
from support import LOCALHOST, WAIT_S, Program, coax, run


def multipart(*files: tuple[str, bytes]) -> tuple[bytes, str]:
    parts = [b'--b\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n\r\n%s\r\n' % (name.encode(), data)
             for name, data in files]
    return b"".join(parts) + b"--b--\r\n", "multipart/form-data; boundary=b"


class FileServer(unittest.TestCase):
    def setUp(self) -> None:
        self.stack = contextlib.ExitStack()
        self.addCleanup(self.stack.close)
        self.folder = pathlib.Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="coax-http-")))
        self.root = self.folder / "files"
        (self.root / "sub" / "deep").mkdir(parents=True)
        (self.root / "a b&c.txt").write_text("hello\n")
        (self.root / "sub" / "ü.json").write_text("{}")
        (self.root / "sub" / "deep" / "zeros.bin").write_bytes(bytes(300_000))
        (self.root / ".secret").write_text("secret")
        (self.folder / "outside").write_text("outside")
        (self.root / "link").symlink_to("../outside")

    def start(self, *flags: str, **options: object) -> Program:
        program = self.stack.enter_context(
            Program(coax(), "http", str(self.root), "--listen", "127.0.0.1:0", "--json", *flags, **options))
        start = json.loads(program.output.wait_for("listening"))
        self.url = start["urls"][0]
        self.port = urllib.parse.urlparse(self.url).port
        return program

    def ask(self, method: str, path: str, body: bytes | None = None,
            **fields: str) -> tuple[http.client.HTTPResponse, bytes]:
        server = http.client.HTTPConnection(LOCALHOST, self.port, timeout=WAIT_S)
        server.request(method, path, body, {name.replace("_", "-"): value for name, value in fields.items()})
        response = server.getresponse()
        data = response.read()
        server.close()
        return response, data

    def test_listing_is_a_page_and_json(self) -> None:
        self.start()
        response, page = self.ask("GET", "/")
        self.assertEqual(response.status, 200)
        self.assertIn("default-src 'none'", response.getheader("Content-Security-Policy"))
        text = page.decode()
        self.assertIn('href="./a%20b%26c.txt"', text)
        self.assertIn("<span>a b&amp;c.txt</span>", text)
        for hidden in (".secret", "link", "outside", 'id="upload"'):
            self.assertNotIn(hidden, text.split("<tbody>")[1])
        for asset in re.findall(r'(?:href|src)="(/\.coax/[^"]+)"', text):
            self.assertEqual(self.ask("GET", asset)[0].status, 200, asset)
        response, data = self.ask("GET", "/", Accept="application/json")
        entries = json.loads(data)
        self.assertEqual([(e["name"], e["type"], e.get("size")) for e in entries],
                         [("sub", "folder", None), ("a b&c.txt", "file", 6)])
        self.assertEqual(self.ask("GET", "/sub")[0].getheader("Location"), "/sub/")
        self.assertEqual(self.ask("GET", "/.secret")[0].status, 404)
        self.assertEqual(self.ask("GET", "/link")[0].status, 404)
        self.assertEqual(self.ask("GET", "/", Host="evil.example")[0].status, 421)

    def test_listing_is_sorted_by_the_query(self) -> None:
        for size, name in ((3, "B"), (1, "c"), (2, "a")):
            (self.root / "sub" / "deep" / name).write_bytes(bytes(size))
        self.start()

        def names(query: str) -> list[str]:
            data = self.ask("GET", "/sub/deep/" + query, Accept="application/json")[1]
            return [entry["name"] for entry in json.loads(data)]

        self.assertEqual(names(""), ["a", "B", "c", "zeros.bin"])
        self.assertEqual(names("?sort=name&order=desc"), ["zeros.bin", "c", "B", "a"])
        self.assertEqual(names("?sort=size"), ["c", "a", "B", "zeros.bin"])
        self.assertEqual(names("?sort=size&order=desc"), ["zeros.bin", "B", "a", "c"])

    def test_archives_are_read_by_python_and_by_programs(self) -> None:
        (self.root / "x\\..\\..\\evil.txt").write_text("evil")
        (self.root / "loop").symlink_to("sub")
        (self.root / ("x" * 150 + ".txt")).write_text("long")
        (self.root / "noise.jpg").write_bytes(os.urandom(100_000))
        self.start()
        (self.root / "x_.._.._evil.txt").write_text("good")
        wanted = {f"files/{p.relative_to(self.root)}".replace("\\", "_"): p.read_bytes()
                  for p in self.root.rglob("*")
                  if p.is_file() and not p.is_symlink() and p.name != ".secret" and "\\" not in p.name}
        wanted["files/x_.._.._evil (2).txt"] = b"evil"
        wanted["files/MISSING FILES.txt"] = (b"This archive is not whole: these files or folders are missing or "
                                             b"damaged.\n\nloop: a link to a folder: not followed\n")
        response, data = self.ask("GET", "/?archive=zip")
        self.assertIn("files.zip", response.getheader("Content-Disposition"))
        archive = zipfile.ZipFile(io.BytesIO(data))
        self.assertIsNone(archive.testzip())
        self.assertEqual({n: archive.read(n) for n in archive.namelist() if not n.endswith("/")}, wanted)
        info = archive.getinfo("files/sub/ü.json")
        self.assertEqual(info.external_attr >> 16, 0o100644)
        for kind in ("tar", "tar.gz"):
            tar = tarfile.open(fileobj=io.BytesIO(self.ask("GET", f"/?archive={kind}")[1]))
            self.assertEqual({m.name: tar.extractfile(m).read() for m in tar if m.isfile()}, wanted)
        (self.folder / "a.zip").write_bytes(data)
        for program in (["unzip", "-tq"], ["bsdtar", "-tf"], ["7z", "t"]):
            if shutil.which(program[0]):
                subprocess.run([*program, self.folder / "a.zip"], check=True, capture_output=True, timeout=WAIT_S)
        self.assertEqual(self.ask("GET", "/sub/?archive=rar")[0].status, 404)
        self.assertEqual(self.ask("GET", "/none/?archive=zip")[0].status, 404)
        self.assertEqual(self.ask("GET", "/..%2f..%2f?archive=zip")[0].status, 400)
        self.assertEqual(self.ask("GET", "/.git/?archive=zip")[0].status, 404)

    def test_a_zip_of_70000_files_is_read_by_python_and_by_programs(self) -> None:
        for number in range(70_000):
            (self.root / "sub" / str(number)).touch()
        self.start()
        data = self.ask("GET", "/sub/?archive=zip")[1]
        archive = zipfile.ZipFile(io.BytesIO(data))
        self.assertIsNone(archive.testzip())
        names = archive.namelist()
        self.assertEqual((len(names), len(set(names))), (70_003, 70_003))
        (self.folder / "a.zip").write_bytes(data)
        if shutil.which("unzip"):
            for program, said in ((["unzip", "-tq"], b"No errors"), (["zipinfo", "-t"], b"70003 files")):
                done = subprocess.run([*program, "a.zip"], cwd=self.folder, check=True, capture_output=True,
                                      timeout=WAIT_S)
                self.assertIn(said, done.stdout)
        for number in range(30_000):
            (self.root / "sub" / f"more-{number}").touch()
        self.assertEqual(self.ask("GET", "/sub/?archive=zip")[0].status, 413)

    def test_uploads_are_stored_and_replace_nothing(self) -> None:
        self.start("--upload")
        long = os.urandom(3_000_000)
        body, kind = multipart(("new.txt", b"new"), ("long.bin", long))
        response, _ = self.ask("POST", "/sub/", body, Content_Type=kind)
        self.assertEqual((response.status, response.getheader("Location")), (303, "./"))
        self.assertEqual((self.root / "sub" / "long.bin").read_bytes(), long)
        response, data = self.ask("POST", "/sub/", body, Content_Type=kind, Accept="application/json")
        self.assertEqual((response.status, json.loads(data)), (409, {
            "error": "new.txt exists already", "stored": [], "not_stored": ["new.txt", "long.bin"]}))
        before = sorted(self.folder.rglob("*"))
        for name in (".hidden", "..", "", "a/../.x", "x" * 300):
            body, kind = multipart((name, b"x"))
            self.assertIn(self.ask("POST", "/", body, Content_Type=kind)[0].status, (400,), name)
        for path in ("/none/", "/.git/", "/link/", "/sub/ü.json/", "/..%2f", "/sub"):
            body, kind = multipart(("y", b"y"))
            path = urllib.parse.quote(path, safe="/%")
            self.assertNotIn(self.ask("POST", path, body, Content_Type=kind)[0].status, (201, 303, 500), path)
        body, kind = multipart(("z", b"z"))
        response, _ = self.ask("POST", "/", body, Content_Type=kind, Origin="http://evil.example")
        self.assertEqual(response.status, 403)
        self.assertEqual(sorted(self.folder.rglob("*")), before)

    def test_an_upload_that_ends_at_a_file_says_which_were_stored(self) -> None:
        self.start("--upload")
        (self.root / "b").write_text("old")
        for accept, name in (("application/json", "a"), ("*/*", "d")):
            body, kind = multipart((name, b"1"), ("b", b"2"), ("c", b"3"))
            response, data = self.ask("POST", "/", body, Content_Type=kind, Accept=accept)
            self.assertEqual(response.status, 409)
            if accept == "application/json":
                self.assertEqual(json.loads(data),
                                 {"error": "b exists already", "stored": ["a"], "not_stored": ["b", "c"]})
            else:
                self.assertEqual(data, b"b exists already\nstored: d\nnot stored: b, c\n")
            self.assertEqual((self.root / name).read_bytes(), b"1")
        self.assertEqual((self.root / "b").read_text(), "old")
        self.assertFalse((self.root / "c").exists())

    def test_a_refused_name_is_told_with_the_names_that_are_not_stored(self) -> None:
        self.start("--upload")
        before = sorted(self.folder.rglob("*"))
        twice = "two files have the name a; the folders in front of a name are left out"
        for names, reason, text in (
                (("a", ".h", "c"), ".h cannot be a file's name here", "a, .h, c"),
                (("a", "sub/a"), twice, "a, a"),
                (("a", ""), "a file has no name", "a, (no name)")):
            body, kind = multipart(*((name, b"x") for name in names))
            response, data = self.ask("POST", "/", body, Content_Type=kind, Accept="application/json")
            stated = [name.rpartition("/")[2] for name in names]
            self.assertEqual((response.status, json.loads(data)),
                             (400, {"error": reason, "stored": [], "not_stored": stated}))
            response, data = self.ask("POST", "/", body, Content_Type=kind)
            self.assertEqual((response.status, data.decode()), (400, f"{reason}\nstored: none\nnot stored: {text}\n"))
        self.assertEqual(sorted(self.folder.rglob("*")), before)

    @unittest.skipIf(support.has_asan(), "UBSan calls an object broken when it has no descriptor to look at it")
    def test_without_descriptors_requests_get_503_and_the_log_says_so_once(self) -> None:
        program = self.start("--upload", "--quiet")
        server = http.client.HTTPConnection(LOCALHOST, self.port, timeout=WAIT_S)

        def status(method: str, path: str, body: bytes | None = None, **fields: str) -> tuple[int, str | None]:
            server.request(method, path, body, {name.replace("_", "-"): value for name, value in fields.items()})
            response = server.getresponse()
            response.read()
            return response.status, response.getheader("Retry-After")

        body, kind = multipart(("new.txt", b"new"))
        self.assertEqual(status("GET", "/"), (200, None))
        pid = program.process.pid
        used = len(os.listdir(f"/proc/{pid}/fd"))
        usual = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used, usual[1]))
        for path in ("/a%20b%26c.txt", "/", "/sub/?archive=zip"):
            self.assertEqual(status("GET", path), (503, "1"), path)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, usual)
        self.assertEqual(status("GET", "/a%20b%26c.txt"), (200, None))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used, usual[1]))
        self.assertEqual(status("POST", "/", body, Content_Type=kind), (503, "1"))  # and closes: its body was not read
        resource.prlimit(pid, resource.RLIMIT_NOFILE, usual)
        self.assertEqual(status("POST", "/", body, Content_Type=kind)[0], 303)
        server.close()
        program.send_signal(signal.SIGTERM)
        self.assertEqual(program.wait(), 0)
        self.assertEqual(program.log.text().count("requests are answered with 503"), 1)

    def test_uploads_are_refused_without_the_option_and_above_the_limit(self) -> None:
        self.start()
        body, kind = multipart(("new.txt", b"new"))
        self.assertEqual(self.ask("POST", "/", body, Content_Type=kind)[0].status, 405)
        self.start("--upload", "--upload-max", "1KiB")
        body, kind = multipart(("new.txt", bytes(2000)))
        self.assertEqual(self.ask("POST", "/", body, Content_Type=kind)[0].status, 413)
        self.assertFalse((self.root / "new.txt").exists())

    def test_interrupted_uploads_and_a_full_disk_leave_nothing(self) -> None:
        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

        program = self.start("--upload", preexec_fn=limit)
        before = sorted(self.folder.rglob("*"))
        body, kind = multipart(("new.bin", bytes(2_000_000)))
        response, data = self.ask("POST", "/", body, Content_Type=kind, Accept="application/json")
        self.assertEqual((response.status, json.loads(data)), (507, {"error": "the disk is full"}))
        with socket.create_connection((LOCALHOST, self.port), timeout=WAIT_S) as client:
            client.sendall(f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
                           f"Content-Length: {len(body)}\r\n\r\n".encode() + body[:900_000])
        program.send_signal(signal.SIGTERM)
        self.assertEqual(program.wait(), 0)
        self.assertEqual(sorted(self.folder.rglob("*")), before)

    def test_a_name_that_is_not_utf_8_is_stored_as_text(self) -> None:
        self.start("--upload")
        body = (b'--b\r\nContent-Disposition: form-data; name="file"; filename="\xff\xe4.txt"\r\n\r\n'
                b'hello\r\n--b--\r\n')
        response, _ = self.ask("POST", "/", body, Content_Type="multipart/form-data; boundary=b")
        self.assertEqual(response.status, 303)
        self.assertEqual((self.root / "\ufffd\ufffd.txt").read_bytes(), b"hello")

    def test_login_is_required_and_never_on_the_command_line(self) -> None:
        self.start("--auth", "ada", extra={"COAX_HTTP_PASSWORD": "tea"})
        self.assertEqual(self.ask("GET", "/")[0].status, 401)
        self.assertEqual(self.ask("GET", "/?archive=zip")[0].status, 401)
        self.assertEqual(self.ask("GET", "/", Authorization="Basic YWRhOnRlYQ==")[0].status, 200)
        for _ in range(10):
            self.assertEqual(self.ask("GET", "/", Authorization="Basic YWRhOng=")[0].status, 401)
        response, _ = self.ask("GET", "/", Authorization="Basic YWRhOnRlYQ==")
        self.assertEqual(response.status, 429)
        self.assertLessEqual(int(response.getheader("Retry-After")), 60)
        refused = run("http", str(self.root), "--auth", "ada:tea")
        self.assertEqual(refused.returncode, 2)

    def test_wrong_arguments_are_refused(self) -> None:
        for flags in (["/none"], [str(self.root / "a b&c.txt")], ["--spa"], ["--tls", "x"], ["--listen", "a:b:c"],
                      ["--password-file", "x"], ["--upload-max", "x"], ["--cors", "x"]):
            folder = [] if not flags[0].startswith("-") else [str(self.root)]
            self.assertEqual(run("http", *folder, *flags).returncode, 2, flags)

    def test_spa_cors_and_ranges(self) -> None:
        (self.root / "index.html").write_text("<p>app")
        self.start("--spa", "--cors", "https://app.example")
        response, data = self.ask("GET", "/users/7", Origin="https://app.example")
        self.assertEqual((data, response.getheader("Access-Control-Allow-Origin")), (b"<p>app", "https://app.example"))
        exposed = response.getheader("Access-Control-Expose-Headers", "").split(", ")
        self.assertLessEqual({"Content-Range", "Accept-Ranges", "ETag"}, set(exposed))
        response, data = self.ask("GET", "/sub/deep/zeros.bin", Range="bytes=0-9")
        self.assertEqual((response.status, data), (206, bytes(10)))

    def test_cors_is_for_reading(self) -> None:
        self.start("--upload", "--cors", "https://app.example")
        response, _ = self.ask("OPTIONS", "/", Origin="https://app.example", Access_Control_Request_Method="POST")
        self.assertEqual((response.status, response.getheader("Access-Control-Allow-Methods")), (204, "GET, HEAD"))

    def test_new_certificates_are_used_after_sighup(self) -> None:
        extra = {"XDG_DATA_HOME": str(self.folder)}
        for name in ("first.example", "second.example"):
            made = run("cert", name, "--out", str(self.folder), extra=extra)
            self.assertEqual(made.returncode, 0, made.stderr)
        cert, key = self.folder / "first.example.pem", self.folder / "first.example.key"
        program = self.start("--tls", f"{cert},{key}", extra=extra)
        context = ssl.create_default_context(cafile=str(self.folder / "coax" / "authority.pem"))
        context.check_hostname = False

        def name() -> str:
            plain = socket.create_connection((LOCALHOST, self.port), WAIT_S)
            with context.wrap_socket(plain) as secure:
                return dict(secure.getpeercert()["subjectAltName"])["DNS"]

        self.assertEqual(name(), "first.example")
        shutil.copy(self.folder / "second.example.pem", cert)
        program.send_signal(signal.SIGHUP)
        program.log.wait_for("the old certificates stay in use")
        self.assertEqual(name(), "first.example")
        shutil.copy(self.folder / "second.example.key", key)
        program.send_signal(signal.SIGHUP)
        program.log.wait_for("the certificates were read again")
        self.assertEqual(name(), "second.example")

    def test_curl_over_tls_with_a_certificate_of_its_own_authority(self) -> None:
        if not shutil.which("curl"):
            self.skipTest("curl is not installed")
        self.start("--tls", "auto", extra={"XDG_DATA_HOME": str(self.folder)})
        authority = self.folder / "coax" / "authority.pem"
        answer = subprocess.run(["curl", "-sf", "--cacert", authority, self.url + "a%20b%26c.txt"], check=True,
                                capture_output=True, timeout=WAIT_S)
        self.assertEqual(answer.stdout, b"hello\n")

    def test_qr_code_is_shown(self) -> None:
        program = self.stack.enter_context(Program(coax(), "http", str(self.root), "--listen", "127.0.0.1:0", "--qr"))
        self.assertIn("▀", program.output.wait_for("▀"))


if __name__ == "__main__":
    unittest.main()
