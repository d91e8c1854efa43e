# guestbook.py PORT [FILE]: a guest book with accounts in a file of SQLite, as examples/web_guestbook.cpp.
import asyncio
import collections
import hashlib
import hmac
import os
import secrets
import sqlite3
import sys
import time

import tornado.template
import tornado.web

BASE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Guest book</title>
<link rel="stylesheet" href="/style.css">
<header>
<h1><a href="/">Guest book</a></h1>
{% if user %}<form method="post" action="/logout">
<input type="hidden" name="_xsrf" value="{{ token }}">
<span>{{ user }}</span> <button>Log out</button>
</form>{% else %}<a href="/login">Log in</a>{% end %}
</header>
<main>{% block body %}{% end %}</main>
</html>
"""

INDEX = """{% extends "base.html" %}
{% block body %}
{% if user %}<form method="post" action="/messages">
<input type="hidden" name="_xsrf" value="{{ token }}">
<label>Your message <textarea name="text" rows="3" maxlength="1000" required></textarea></label>
<button>Sign</button>
</form>{% end %}
{% for message in messages %}<article>
<p>{{ message["text"] }}</p>
<footer>{{ message["author"] }}, <time>{{ message["time"] }}</time></footer>
</article>
{% end %}
{% if not messages %}<p>No messages yet.</p>{% end %}
{% end %}
"""

LOGIN = """{% extends "base.html" %}
{% block body %}
<h2>Log in</h2>
{% if message %}<p role="alert">{{ message }}</p>{% end %}
<form method="post" action="/login">
<input type="hidden" name="_xsrf" value="{{ token }}">
<label>Name <input name="name" maxlength="30" autocomplete="username" required autofocus></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<button>Log in</button> <button formaction="/register">Create an account</button>
</form>
{% end %}
"""

STYLE = """
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
body { max-width: 40rem; margin: auto; padding: 0 1rem; overflow-wrap: anywhere }
header { display: flex; justify-content: space-between; align-items: center; gap: 1rem }
h1 { font-size: 1.5rem }
h1 a { color: inherit; text-decoration: none }
label { display: block; margin: .75rem 0 }
input, textarea { display: block; box-sizing: border-box; width: 100% }
input, textarea, button { padding: .5rem .75rem; font: inherit }
input, textarea { border: 1px solid #8888; border-radius: .375rem }
button { border: 0; border-radius: .375rem; background: #26a; color: #fff; cursor: pointer }
button ~ button { background: #666 }
article { margin: 1.5rem 0; padding-left: 1rem; border-left: .25rem solid #38b }
article p { margin: 0; white-space: pre-line }
footer { opacity: .75; font-size: .875rem }
[role=alert] { padding: .5rem 1rem; border-left: .25rem solid #c33 }
"""

SCHEMA = """
create table if not exists accounts (name text primary key collate nocase, hash blob not null);
create table if not exists messages (id integer primary key, author text not null, text text not null,
                                     time text not null default (strftime('%Y-%m-%d %H:%M', 'now')));
create table if not exists secrets (name text primary key, value text not null);
"""

ATTEMPTS_MAX, ATTEMPTS_S = 10, 15 * 60

database = sqlite3.connect(sys.argv[2] if len(sys.argv) > 2 else "guestbook.db", isolation_level=None)
database.row_factory = sqlite3.Row
templates = tornado.template.DictLoader({"base.html": BASE, "index.html": INDEX, "login.html": LOGIN})
attempts = collections.defaultdict(list)


def attempt(name):
    now = time.monotonic()
    attempts[name] = [then for then in attempts[name] if now - then < ATTEMPTS_S]
    attempts[name].append(now)
    return len(attempts[name]) <= ATTEMPTS_MAX


def hash_password(password, salt):
    return salt + hashlib.scrypt(password.encode(), salt=salt, n=1 << 15, r=8, p=1, maxmem=1 << 26)


def verify_password(password, hash):
    return hmac.compare_digest(hash_password(password, hash[:16]), hash)


class Handler(tornado.web.RequestHandler):
    def set_default_headers(self):
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "strict-origin-when-cross-origin")
        self.set_header("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'; base-uri 'none'")

    def get_template_namespace(self):
        own = {"token": self.xsrf_token.decode(), "user": self.current_user}
        return super().get_template_namespace() | own

    def create_template_loader(self, path):
        return templates

    def get_current_user(self):
        user = self.get_secure_cookie("user", max_age_days=0.5)
        return user and user.decode()

    def page(self, name, status=200, **data):
        self.set_status(status)
        self.set_header("Cache-Control", "no-store")
        self.render(name, **data)

    def welcome(self, name):
        self.set_secure_cookie("user", name, expires_days=None, httponly=True, samesite="Lax")
        self.redirect("/", status=303)


class StyleHandler(Handler):
    def get(self):
        self.set_header("Content-Type", "text/css; charset=utf-8")
        self.write(STYLE)


class IndexHandler(Handler):
    def get(self):
        messages = database.execute("select * from messages order by id desc limit 100").fetchall()
        self.page("index.html", messages=messages)


class MessagesHandler(Handler):
    def post(self):
        if not self.current_user:
            return self.redirect("/login", status=303)
        text = self.get_body_argument("text", "").replace("\r", "")
        if not 1 <= len(text) <= 1000:
            raise tornado.web.HTTPError(422)
        database.execute("insert into messages (author, text) values (?, ?)", (self.current_user, text))
        self.redirect("/", status=303)


class LoginHandler(Handler):
    def get(self):
        self.page("login.html", message="")

    async def post(self):
        name, password = self.get_body_argument("name", ""), self.get_body_argument("password", "", strip=False)
        if not attempt(name):
            return self.page("login.html", 429, message="Too many attempts. Wait a while.")
        found = database.execute("select * from accounts where name = ?", (name,)).fetchone()
        hash = found["hash"] if found else bytes(16 + 64)  # takes as long, and is never right
        if not await asyncio.to_thread(verify_password, password, hash):
            return self.page("login.html", 403, message="The name or the password is wrong.")
        attempts.pop(name)
        self.welcome(found["name"])


class RegisterHandler(Handler):
    async def post(self):
        name, password = self.get_body_argument("name", ""), self.get_body_argument("password", "", strip=False)
        if not 1 <= len(name) <= 30 or not name.isprintable():
            return self.page("login.html", 422, message="A name has 1 to 30 characters.")
        if len(password) < 8:
            return self.page("login.html", 422, message="A password has 8 characters or more.")
        if len(password.encode()) > 1024:
            return self.page("login.html", 422, message="This password is too long: 1024 bytes are the most.")
        hash = await asyncio.to_thread(hash_password, password, os.urandom(16))
        if database.execute("insert or ignore into accounts values (?, ?)", (name, hash)).rowcount == 0:
            return self.page("login.html", 409, message="Another guest has this name.")
        self.welcome(name)


class LogoutHandler(Handler):
    def post(self):
        self.clear_cookie("user")
        self.redirect("/", status=303)


async def main():
    database.executescript(SCHEMA)
    database.execute("insert or ignore into secrets values ('cookies', ?)", (secrets.token_hex(),))
    secret, = database.execute("select value from secrets where name = 'cookies'").fetchone()
    app = tornado.web.Application([
        (r"/", IndexHandler),
        (r"/style.css", StyleHandler),
        (r"/messages", MessagesHandler),
        (r"/login", LoginHandler),
        (r"/register", RegisterHandler),
        (r"/logout", LogoutHandler),
    ], cookie_secret=secret, xsrf_cookies=True, xsrf_cookie_kwargs={"httponly": True, "samesite": "Lax"})
    app.listen(int(sys.argv[1]), "127.0.0.1")
    await asyncio.Event().wait()


asyncio.run(main())
