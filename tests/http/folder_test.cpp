// Static files: their paths, media types, folders, and precompressed forms.
#include "tests/http/folder.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "coax/codec/http_date.hpp"
#include "coax/http/folder_find_private.hpp"
#include "coax/task/future.hpp"

namespace folder_test {

using namespace coax;
using namespace coax::test;

// --- the response ---

TEST_F(HttpFolder, get_answers_with_the_file) { EXPECT_EQ(ask("/s/digits.txt"), whole()); }

TEST_F(HttpFolder, head_has_the_same_fields) { EXPECT_EQ(ask("/s/digits.txt", "", "HEAD"), head("200 OK", "", 10)); }

TEST_F(HttpFolder, query_is_ignored) { EXPECT_EQ(ask("/s/digits.txt?v=%2F1"), whole()); }

TEST_F(HttpFolder, other_methods_are_405) {
  const std::string response = ask("/s/digits.txt", "", "DELETE");
  EXPECT_EQ(status_of(response), 405);
  EXPECT_EQ(field_of(response, "Allow"), "GET, HEAD, OPTIONS");
}

TEST_F(HttpFolder, empty_file_has_the_length_0) {
  write("empty", "");
  EXPECT_EQ(field_of(ask("/s/empty"), "Content-Length"), "0");
  EXPECT_EQ(status_of(ask("/s/empty", "Range: bytes=0-\r\n")), 200);
  EXPECT_EQ(status_of(ask("/s/empty", "Range: bytes=-5\r\n")), 200);
}

TEST_F(HttpFolder, media_type_is_that_of_the_extension) {
  for (const auto& [name, type] : std::initializer_list<std::pair<std::string_view, std::string_view>>{
           {"a.html", "text/html; charset=utf-8"},
           {"a.HTML", "text/html; charset=utf-8"},
           {"a.css", "text/css; charset=utf-8"},
           {"a.js", "text/javascript; charset=utf-8"},
           {"a.mjs", "text/javascript; charset=utf-8"},
           {"a.min.js", "text/javascript; charset=utf-8"},
           {"a.json", "application/json"},
           {"a.webmanifest", "application/manifest+json"},
           {"a.wasm", "application/wasm"},
           {"a.svg", "image/svg+xml"},
           {"a.webp", "image/webp"},
           {"a.avif", "image/avif"},
           {"a.woff2", "font/woff2"},
           {"a.pdf", "application/pdf"},
           {"a.mp4", "video/mp4"},
           {"a", "application/octet-stream"},
           {"html", "application/octet-stream"},
           {"a.", "application/octet-stream"},
           {"a.html.unknown", "application/octet-stream"},
       }) {
    EXPECT_EQ(std::string_view(http::media_type_of(name)), type) << name;
  }
}

TEST_F(HttpFolder, nosniff_stays) {
  http::App app;
  app.mount("/", http::folder(root_));
  EXPECT_EQ(field_of(get(std::move(app), "/digits.txt"), "X-Content-Type-Options"), "nosniff");
}

TEST_F(HttpFolder, modification_in_the_future_is_not_sent) {  // RFC 9110, section 8.8.2.1
  write("digits.txt", "0123456789", std::time(nullptr) + 1'000'000);
  const auto modified = http::parse_date(field_of(ask("/s/digits.txt"), "Last-Modified"), {});
  ASSERT_TRUE(modified);
  EXPECT_LE(*modified, std::chrono::system_clock::now());
}

// --- the path ---

TEST_F(HttpFolder, path_never_leaves_the_folder) {
  std::ofstream(folder_.path("secret.txt")) << "secret";
  write(".git/config", "secret");
  write(".env", "secret");
  write("sub/.htaccess", "secret");
  write("sub/a.txt", "a");
  for (const auto& [target, status] : std::initializer_list<std::pair<std::string_view, int>>{
           {"/s/../secret.txt", 404},
           {"/s/../../secret.txt", 404},
           {"/s/../public/digits.txt", 404},
           {"/s/%2e%2e/secret.txt", 404},
           {"/s/%2E%2e/secret.txt", 404},
           {"/s/.%2e/secret.txt", 404},
           {"/s/..%2fsecret.txt", 400},
           {"/s/..%2Fsecret.txt", 400},
           {"/s/%2e%2e%2fsecret.txt", 400},
           {"/s/%252e%252e/secret.txt", 404},
           {"/s/..%252fsecret.txt", 404},
           {"/s/..%5csecret.txt", 404},
           {"/s/..\\secret.txt", 404},
           {"/s/%5c..%5csecret.txt", 404},
           {"/s/..;/secret.txt", 404},
           {"/s/..%00/secret.txt", 400},
           {"/s/digits.txt%00.html", 400},
           {"/s/..%c0%afsecret.txt", 404},  // an overlong '/'
           {"/s/%c0%ae%c0%ae/secret.txt", 404},
           {"/s/sub%2Fa.txt", 404},
           {"/s/sub%2fa.txt", 404},
           {"/s/sub%252Fa.txt", 404},
           {"/s/sub/..%2F..%2Fsecret.txt", 400},
           {"/s//etc/passwd", 404},
           {"/s/%2fetc/passwd", 404},
           {"/s/%2Fetc%2Fpasswd", 404},
           {"//s/etc/passwd", 404},
           {"/s/proc/self/cwd/etc/passwd", 404},
           {"/s/.git/config", 404},
           {"/s/%2egit/config", 404},
           {"/s/.env", 404},
           {"/s/sub/.htaccess", 404},
           {"/s/./.env", 404},
           {"/s/...", 404},
           {"/s/.../digits.txt", 404},
           {"/s/digits.txt/", 404},
           {"/s/digits.txt/x", 404},
           {"/s/digits.txt/..", 404},
           {"/s/%zz", 400},
           {"/s/%", 400},
           {"/s/~root/", 404},
           {"/s/sub/a.txt", 200},
           {"/s//sub//a.txt", 200},
           {"/s/sub/../sub/./a.txt", 200},
           {"http://a/s/sub/a.txt", 200},
           {"http://a/s/../secret.txt", 404},
       }) {
    const std::string response = ask(target);
    EXPECT_EQ(status_of(response), status) << target;
    EXPECT_FALSE(response.contains("secret")) << target;
  }
  EXPECT_EQ(status_of(ask("/s/" + std::string(3000, 'a'))), 404);
}

TEST_F(HttpFolder, names_may_have_any_character) {
  for (const auto& [name, target] : std::initializer_list<std::pair<std::string_view, std::string_view>>{
           {"a b.txt", "/s/a%20b.txt"},
           {"Grüße.txt", "/s/Gr%C3%BC%C3%9Fe.txt"},
           {"u\xCC\x88.txt", "/s/u%CC%88.txt"},  // not normalized
           {"100%.txt", "/s/100%25.txt"},
           {"a%20b", "/s/a%2520b"},
           {"a%2Fb", "/s/a%252Fb"},
           {"what?.txt", "/s/what%3F.txt"},
           {"a#b.txt", "/s/a%23b.txt"},
           {"a+b.txt", "/s/a+b.txt"},
           {"a\\b.txt", "/s/a%5Cb.txt"},
           {"a;b&c=d.txt", "/s/a;b&c=d.txt"},
           {"a..b", "/s/a..b"},
           {"\xFF.txt", "/s/%FF.txt"},
       }) {
    write(name, "found");
    EXPECT_EQ(body_of(ask(target)), "found") << name;
  }
  EXPECT_EQ(status_of(ask("/s/%C3%BC.txt")), 404);  // the composed form of another name
}

TEST_F(HttpFolder, symbolic_link_stays_in_the_folder) {
  std::ofstream(folder_.path("secret.txt")) << "secret";
  std::filesystem::create_directory(folder_.path("root-2"));
  std::ofstream(folder_.path("root-2/secret.txt")) << "secret";
  write("sub/a.txt", "a");
  namespace fs = std::filesystem;
  fs::create_symlink("../secret.txt", at("relative"));
  fs::create_symlink(folder_.path("secret.txt"), at("absolute"));
  fs::create_symlink("..", at("parent"));
  fs::create_symlink("../root-2", at("sibling"));
  fs::create_symlink("/proc/self/root", at("magic"));
  fs::create_symlink("loop", at("loop"));
  fs::create_symlink("nowhere", at("dangling"));
  fs::create_symlink("sub", at("inside"));
  fs::create_symlink("sub/../sub/a.txt", at("inside.txt"));
  for (const std::string_view target : {"/s/relative", "/s/absolute", "/s/parent/secret.txt", "/s/sibling/secret.txt",
                                        "/s/magic/etc/passwd", "/s/loop", "/s/dangling"}) {
    const std::string response = ask(target);
    EXPECT_EQ(status_of(response), 404) << target;
    EXPECT_FALSE(response.contains("secret")) << target;
  }
  if (http::available_beneath() != http::Beneath::openat2) GTEST_SKIP() << "no openat2(2)";
  EXPECT_EQ(body_of(ask("/s/inside/a.txt")), "a");
  EXPECT_EQ(body_of(ask("/s/inside.txt")), "a");
}

// Kernels without openat2(2).
TEST_F(HttpFolder, walk_follows_no_symbolic_link) {
  write("sub/deep/a.txt", "a");
  std::filesystem::create_symlink("sub", at("link"));
  std::filesystem::create_symlink("sub/deep/a.txt", at("link.txt"));
  const http::OpenFolder folder(root_, http::Beneath::walk);
  EXPECT_TRUE(folder.file("digits.txt"));
  EXPECT_TRUE(folder.file("sub/deep/a.txt"));
  EXPECT_TRUE(folder.is_folder(""));
  EXPECT_TRUE(folder.is_folder("sub/deep"));
  for (const char* const path :
       {"link/deep/a.txt", "link.txt", "link", "sub", "../public/digits.txt", "sub/../digits.txt", "none/a"}) {
    EXPECT_FALSE(folder.file(path)) << path;
  }
  EXPECT_FALSE(folder.is_folder("link"));
  EXPECT_FALSE(folder.is_folder("digits.txt"));
  ASSERT_TRUE(folder.list("sub", 10, {}));
  EXPECT_EQ(folder.list("sub", 10, {})->at(0).name, "deep");
}

TEST_F(HttpFolder, link_with_a_plain_name_may_lead_to_a_dot_folder) {
  write(".releases/42/a.txt", "release 42");
  std::filesystem::create_symlink(".releases/42", at("current"));
  EXPECT_EQ(status_of(ask("/s/.releases/42/a.txt")), 404);
  if (http::available_beneath() != http::Beneath::openat2) GTEST_SKIP() << "no openat2(2)";
  EXPECT_EQ(body_of(ask("/s/current/a.txt")), "release 42");
}

TEST_F(HttpFolder, root_may_be_a_changing_link) {
  std::filesystem::create_directory(folder_.path("next"));
  std::ofstream(folder_.path("next/a.txt")) << "next";
  write("a.txt", "first");
  std::filesystem::create_directory_symlink(root_, folder_.path("current"));
  const auto ask_current = [&] {
    http::App app = bare();
    app.mount("/", http::folder(folder_.path("current")));
    return body_of(get(std::move(app), "/a.txt"));
  };
  EXPECT_EQ(ask_current(), "first");
  std::filesystem::create_directory_symlink(folder_.path("next"), folder_.path("new"));
  std::filesystem::rename(folder_.path("new"), folder_.path("current"));
  EXPECT_EQ(ask_current(), "next");
}

TEST_F(HttpFolder, special_files_are_404_at_once) {
  ASSERT_EQ(::mkfifo(at("fifo").c_str(), 0600), 0);
  std::filesystem::create_symlink("/dev/zero", at("zero"));
  const FileDescriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un name{.sun_family = AF_UNIX, .sun_path = {}};
  ASSERT_LT(at("socket").size(), sizeof(name.sun_path));
  at("socket").copy(name.sun_path, sizeof(name.sun_path) - 1);
  ASSERT_EQ(::bind(socket.native(), reinterpret_cast<const sockaddr*>(&name), sizeof(name)), 0);
  for (const std::string_view target : {"/s/fifo", "/s/zero", "/s/socket"}) EXPECT_EQ(status_of(ask(target)), 404);
}

TEST_F(HttpFolder, unreadable_file_is_404) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may read everything";
  ASSERT_EQ(::chmod(at("digits.txt").c_str(), 0), 0);
  EXPECT_EQ(status_of(ask("/s/digits.txt")), 404);
}

TEST_F(HttpFolder, well_known_is_an_option) {
  write(".well-known/security.txt", "contact");
  write(".well-known/.hidden", "secret");
  write("sub/.well-known/x", "secret");
  EXPECT_EQ(status_of(ask("/s/.well-known/security.txt")), 404);
  EXPECT_EQ(body_of(ask_with({.well_known = true}, "/s/.well-known/security.txt")), "contact");
  EXPECT_EQ(status_of(ask_with({.well_known = true}, "/s/.well-known/.hidden")), 404);
  EXPECT_EQ(status_of(ask_with({.well_known = true}, "/s/sub/.well-known/x")), 404);
  EXPECT_EQ(status_of(ask_with({.well_known = true}, "/s/.env")), 404);
}

// --- folders ---

TEST_F(HttpFolder, index_answers_for_its_folder) {
  write("index.html", "root");
  write("sub/index.html", "sub");
  write("with space/index.html", "space");
  std::filesystem::create_directory(at("bare"));
  EXPECT_EQ(body_of(ask("/s/")), "root");
  EXPECT_EQ(body_of(ask("/s/sub/")), "sub");
  EXPECT_EQ(field_of(ask("/s/sub/"), "Content-Type"), "text/html; charset=utf-8");
  EXPECT_EQ(status_of(ask("/s/bare/")), 404);
  EXPECT_EQ(status_of(ask("/s/bare")), 404);
  EXPECT_EQ(status_of(ask_with({.index = ""}, "/s/sub/")), 404);
  EXPECT_EQ(field_of(ask("/s"), "Location"), "/s/");
  for (const auto& [target, location] : std::initializer_list<std::array<std::string_view, 2>>{
           {"/s/sub", "/s/sub/"},
           {"/s/sub?a=%20b", "/s/sub/?a=%20b"},
           {"/s/with%20space", "/s/with%20space/"},
           {"//s/sub", "/s/sub/"},
           {"/s//sub", "/s/sub/"},
           {"http://evil.example/s/sub?x", "/s/sub/?x"},
       }) {
    const std::string response = ask(target);
    EXPECT_EQ(status_of(response), 308) << target;
    EXPECT_EQ(field_of(response, "Location"), location) << target;
  }
}

// "//host" would lead to another site.
TEST_F(HttpFolder, redirect_never_names_another_host) {
  write("evil.example/index.html", "x");
  write("\\evil.example/index.html", "x");
  for (const auto& [target, location] : std::initializer_list<std::array<std::string_view, 2>>{
           {"//evil.example", "/evil.example/"},
           {"///evil.example", "/evil.example/"},
           {"/./evil.example", "/evil.example/"},
           {"/x/..//evil.example", "/evil.example/"},
           {"/%5cevil.example", "/%5Cevil.example/"},
       }) {
    http::App app = bare();
    app.mount("/", http::folder(root_));
    EXPECT_EQ(field_of(get(std::move(app), target), "Location"), location) << target;
  }
}

TEST_F(HttpFolder, listing_is_an_option) {
  write("sub/b.txt", "12345");
  write("sub/a/x", "");
  write("sub/.hidden", "");
  ASSERT_EQ(::mkfifo(at("sub/fifo").c_str(), 0600), 0);
  std::filesystem::create_symlink("/etc/passwd", at("sub/outside"));
  const FolderOptions options{
      .listing = [](const http::Request& request, const std::vector<http::FolderEntry>& entries) {
        std::string text(request.path());
        for (const auto& entry : entries) {
          text += fmt::format(" {}{}:{}", entry.name, entry.is_folder ? "/" : "", entry.size);
        }
        return http::Response::text(text);
      }};
  EXPECT_EQ(body_of(ask_with(options, "/s/sub/")), "/s/sub/ a/:0 b.txt:5");
  EXPECT_EQ(field_of(ask_with(options, "/s/sub"), "Location"), "/s/sub/");
  EXPECT_EQ(status_of(ask_with(options, "/s/none/")), 404);
  EXPECT_EQ(status_of(ask_with(options, "/s/digits.txt/")), 404);
  EXPECT_EQ(status_of(ask("/s/sub/")), 404);
}

TEST_F(HttpFolder, listing_has_links_to_other_places_in_the_root) {
  write("sub/a.txt", "1");
  std::filesystem::create_symlink("../digits.txt", at("sub/up.txt"));
  std::filesystem::create_symlink("..", at("sub/top"));
  std::filesystem::create_symlink("../..", at("sub/outside"));
  if (http::available_beneath() != http::Beneath::openat2) GTEST_SKIP() << "no openat2(2)";
  std::vector<std::pair<std::string, bool>> found;
  const auto entries = http::OpenFolder(root_).list("sub", 10, {});
  ASSERT_TRUE(entries);
  for (const http::FolderEntry& entry : *entries) found.emplace_back(entry.name, entry.is_folder);
  EXPECT_EQ(found, (std::vector<std::pair<std::string, bool>>{{"a.txt", false}, {"top", true}, {"up.txt", false}}));
}

TEST_F(HttpFolder, fallback_answers_for_unknown_paths_without_extension) {
  write("app.html", "app");
  std::filesystem::create_directory(at("bare"));
  const FolderOptions options{.index = "", .fallback = "app.html"};
  for (const std::string_view target : {"/s/", "/s/users/7", "/s/users/7/", "/s/bare", "/s/bare/"}) {
    EXPECT_EQ(body_of(ask_with(options, target)), "app") << target;
  }
  for (const std::string_view target : {"/s/missing.js", "/s/.git", "/s/.git/config", "/s/a%2Fb", "/s/x/y.png"}) {
    EXPECT_EQ(status_of(ask_with(options, target)), 404) << target;
  }
  EXPECT_EQ(ask_with(options, "/s/digits.txt"), whole());
}

TEST_F(HttpFolder, missing_folder_or_fallback_throws) {
  EXPECT_THROW(http::folder(folder_.path("none")), Error);
  EXPECT_THROW(http::folder(at("digits.txt")), Error);
  EXPECT_THROW(http::folder(root_, {.fallback = "none.html"}), Error);
  EXPECT_THROW(http::folder(root_, {.cache_control = "a\r\nb"}), Error);
}

TEST_F(HttpFolder, cache_control_is_an_option) {
  write("app.3f9a1c2b.js", "x");
  EXPECT_EQ(field_of(ask_with({.cache_control = "max-age=60"}, "/s/digits.txt"), "Cache-Control"), "max-age=60");
  EXPECT_FALSE(ask_with({.cache_control = ""}, "/s/digits.txt").contains("Cache-Control"));
  const FolderOptions options{.is_immutable = http::has_hashed_name};
  EXPECT_EQ(field_of(ask_with(options, "/s/app.3f9a1c2b.js"), "Cache-Control"), "public, max-age=31536000, immutable");
  EXPECT_EQ(field_of(ask_with(options, "/s/digits.txt"), "Cache-Control"), "no-cache");
}

TEST(HashedName, has_digits_and_letters_of_a_hash) {
  for (const std::string_view name : {"app.3f9a1c2b.js", "x/app-3f9a1c2bd0.css", "app.3f9a1c2b.min.js"}) {
    EXPECT_TRUE(http::has_hashed_name(name)) << name;
  }
  for (const std::string_view name : {"app.js", "report-20240101.pdf", "3f9a1c2b.js", "app.3f9a1c2.js", "a-defaced.js",
                                      "app.3F9A1C2B.js", "x.3f9a1c2b/app.js", "app.3f9a1c2b", ""}) {
    EXPECT_FALSE(http::has_hashed_name(name)) << name;
  }
}

// --- precompressed files ---

TEST_F(HttpFolder, precompressed_form_is_negotiated) {
  write("x.js", "plain");
  write("x.js.br", "brotli");
  write("x.js.gz", "gzip!!");
  write("x.js.zst", "zstd!!!");
  for (const auto& [accepted, encoding, body] : std::initializer_list<std::array<std::string_view, 3>>{
           {"gzip, deflate, br, zstd", "br", "brotli"},
           {"gzip", "gzip", "gzip!!"},
           {"x-gzip", "gzip", "gzip!!"},
           {"zstd, gzip", "zstd", "zstd!!!"},
           {"br;q=0.5, gzip;q=0.9", "gzip", "gzip!!"},
           {"br;q=0, gzip;q=0", "", "plain"},
           {"deflate", "", "plain"},
           {"identity", "", "plain"},
           {"*", "br", "brotli"},
           {"br;q=0, *", "zstd", "zstd!!!"},
           {"gzip\r\nAccept-Encoding: br", "br", "brotli"},
           {"GZIP", "gzip", "gzip!!"},
           {"", "", "plain"},
       }) {
    const std::string response = ask("/s/x.js", fmt::format("Accept-Encoding: {}\r\n", accepted));
    EXPECT_EQ(field_of(response, "Content-Encoding"), encoding) << accepted;
    EXPECT_EQ(body_of(response), body) << accepted;
    EXPECT_EQ(field_of(response, "Vary"), "Accept-Encoding") << accepted;
    EXPECT_EQ(field_of(response, "Content-Type"), "text/javascript; charset=utf-8") << accepted;
  }
  EXPECT_EQ(field_of(ask("/s/x.js"), "Vary"), "Accept-Encoding");
  EXPECT_EQ(field_of(ask("/s/digits.txt", "Accept-Encoding: br\r\n"), "Vary"), "");
  EXPECT_EQ(body_of(ask_with({.precompressed = false}, "/s/x.js", "Accept-Encoding: br\r\n")), "plain");
  EXPECT_EQ(field_of(ask("/s/x.js.gz"), "Content-Encoding"), "");
  EXPECT_EQ(field_of(ask("/s/x.js.gz"), "Content-Type"), "application/gzip");
}

// They share what was found, but not with requests for something else.
TEST_F(HttpFolder, requests_that_arrive_together_get_their_own_files) {
  write("x.js", "plain");
  write("x.js.br", "brotli");
  write("sub/x.js", "below");
  http::App both = app();
  both.mount("/sub", http::folder(at("sub")));
  both.mount("/bare", http::folder(root_, {.precompressed = false}));
  const auto request = [](std::string_view target, std::string_view encoding) {
    return fmt::format("GET {} HTTP/1.1\r\nHost: a\r\nAccept-Encoding: {}\r\n\r\n", target, encoding);
  };
  const std::vector<std::string> requests{request("/s/x.js", "br"),       request("/s/x.js", ""),
                                          request("/sub/x.js", "br"),     request("/bare/x.js", "br"),
                                          request("/s/digits.txt", "br"), request("/s/sub/x.js", "br"),
                                          request("/s/x.js", "br"),       request("/s/none", "br")};
  run([&]() -> Task<> {
    const Handler handler = http::handler(std::move(both));
    for (int round = 0; round < 2; ++round) {  // in the second one the kernel knows which files there are
      std::string bodies;
      co_await task_group([&](TaskGroup& group) -> Task<> {
        std::vector<Future<std::string>> responses;
        for (const std::string& each : requests) responses.push_back(group.spawn(coax::test::ask(handler, each)));
        for (const auto& response : responses) bodies += body_of(co_await response) + ' ';
      });
      EXPECT_EQ(bodies, "brotli plain below plain 0123456789 below brotli 404 Not Found\n ");
    }
  });
}

TEST_F(HttpFolder, precompressed_form_has_its_own_validators_and_ranges) {
  write("x.js", "plain");
  write("x.js.gz", "0123456789");
  const std::string gzip = "Accept-Encoding: gzip\r\n";
  const std::string tag = field_of(ask("/s/x.js", gzip), "ETag");
  EXPECT_TRUE(tag.ends_with("-gzip\"")) << tag;
  EXPECT_NE(tag, field_of(ask("/s/x.js"), "ETag"));
  const std::string unmodified = ask("/s/x.js", gzip + "If-None-Match: " + tag + "\r\n");
  EXPECT_EQ(unmodified, "HTTP/1.1 304 Not Modified\r\nETag: " + tag +
                            "\r\nCache-Control: no-cache\r\nVary: Accept-Encoding\r\n\r\n");
  EXPECT_EQ(status_of(ask("/s/x.js", "If-None-Match: " + tag + "\r\n")), 200);  // the plain form is another one
  const std::string range = ask("/s/x.js", gzip + "Range: bytes=2-4\r\nIf-Range: " + tag + "\r\n");
  EXPECT_EQ(body_of(range), "234");
  EXPECT_EQ(field_of(range, "Content-Range"), "bytes 2-4/10");
  EXPECT_EQ(field_of(range, "Content-Encoding"), "gzip");
  EXPECT_EQ(body_of(ask("/s/x.js", "Range: bytes=2-4\r\nIf-Range: " + tag + "\r\n")), "plain");
}

TEST_F(HttpFolder, precompressed_form_is_not_older_than_the_file) {
  write("x.js", "plain", sunday + 1);
  write("x.js.gz", "stale", sunday);
  EXPECT_EQ(body_of(ask("/s/x.js", "Accept-Encoding: gzip\r\n")), "plain");
  write("only.js.gz", "gzip");
  EXPECT_EQ(status_of(ask("/s/only.js", "Accept-Encoding: gzip\r\n")), 404);
  std::filesystem::create_symlink("/etc/passwd", at("digits.txt.gz"));
  EXPECT_EQ(body_of(ask("/s/digits.txt", "Accept-Encoding: gzip\r\n")), "0123456789");
}

TEST_F(HttpFolder, precompressed_form_without_bytes_is_passed_over) {
  write("x.js", "plain");
  write("empty.js", "");
  for (const char* name : {"x.js.br", "x.js.zst", "x.js.gz", "empty.js.gz"}) write(name, "");
  for (const char* accepted : {"br", "zstd", "gzip", "gzip, deflate, br, zstd"}) {
    const std::string fields = fmt::format("Accept-Encoding: {}\r\n", accepted);
    const std::string response = ask("/s/x.js", fields);
    EXPECT_EQ(field_of(response, "Content-Encoding"), "") << accepted;
    EXPECT_EQ(body_of(response), "plain") << accepted;
    EXPECT_EQ(field_of(ask("/s/empty.js", fields), "Content-Encoding"), "") << accepted;
  }
  write("x.js.zst", "zstd");
  EXPECT_EQ(body_of(ask("/s/x.js", "Accept-Encoding: gzip, deflate, br, zstd\r\n")), "zstd");
}

// --- files that change ---

TEST_F(HttpFolder, file_that_becomes_shorter_cuts_the_connection) {
  write("long.bin", std::string(1'000'000, 'x'));
  for (const std::string_view range : {"", "Range: bytes=0-499999,500001-\r\n"}) {
    std::filesystem::resize_file(at("long.bin"), 1'000'000);
    run([&]() -> Task<> {
      auto [server, client] = memory_stream_pair(4000);
      const Handler handler = http::handler(app());
      std::size_t received = 0;
      const auto truncate_meanwhile = [&]() -> Task<> {
        const std::string request = fmt::format("GET /s/long.bin HTTP/1.1\r\nHost: a\r\n{}\r\n", range);
        co_await client->send(request);
        co_await client->recv_exactly(1000);
        std::filesystem::resize_file(at("long.bin"), 200'000);
        try {
          while (const BytesView bytes = co_await client->recv()) received += bytes.size();
        } catch (const Error&) {  // a reset
        }
      };
      co_await all(serve_one(*server, handler), truncate_meanwhile());
      EXPECT_LT(received, 600'000U);
    });
  }
}

TEST_F(HttpFolder, replaced_file_is_sent_as_it_was_opened) {
  write("long.bin", std::string(1'000'000, 'x'));
  run([&]() -> Task<> {
    auto [server, client] = memory_stream_pair(4000);
    const Handler handler = http::handler(app());
    std::string received;
    const auto replace_meanwhile = [&]() -> Task<> {
      co_await client->send("GET /s/long.bin HTTP/1.1\r\nHost: a\r\n\r\n");
      received = co_await client->recv_exactly(1000);
      write("new", std::string(1'000'000, 'y'));
      std::filesystem::rename(at("new"), at("long.bin"));
      co_await client->shutdown_send();
      received += co_await read_all(*client);
    };
    co_await all(serve_one(*server, handler), replace_meanwhile());
    EXPECT_EQ(std::ranges::count(received, 'x'),
              1'000'000 + std::ranges::count(received.substr(0, received.find("\r\n\r\n")), 'x'));
    EXPECT_EQ(std::ranges::count(body_of(received), 'y'), 0);
  });
}

}  // namespace folder_test
