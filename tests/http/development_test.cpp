// http::run(): the main() of an app while it is developed.
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <future>
#include <thread>

#include "coax/base/log.hpp"
#include "coax/http/app.hpp"
#include "coax/http/template.hpp"
#include "coax/socket/socket.hpp"
#include "tests/support/folder.hpp"
#include "tests/support/sim.hpp"

namespace development_test {

using namespace coax;
using http::Request;
using http::Response;

TEST(HttpDevelopment, run_reloads_templates_and_serve_does_not) {
  COAX_NEEDS_KERNEL();
  const test::Folder folder;
  const auto write = [&](const char* text) { std::ofstream(folder.path("page.html")) << text; };
  write("one");
  const http::Templates templates(folder.path(""));
  const http::Templates once(folder.path(""), {.reload = false});
  http::App app;
  app.get("/", [&](Request&) { return Response::text(templates.render("page.html") + once.render("page.html")); });

  std::promise<std::string> listening;
  log::set_sink([&](const log::Record& record) {
    const std::string_view text = record.text;
    if (!text.starts_with("http://")) return;
    listening.set_value(std::string(text.substr(7, text.find('/', 7) - 7)));
  });
  std::string answers;
  std::jthread client([&] {
    const std::string where = listening.get_future().get();
    for (const char* const next : {"another", "a third"}) {
      Socket socket = Socket::connect_to(where);
      socket.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
      std::string answer;
      while (const BytesView bytes = socket.recv()) answer += bytes.text();
      answers += answer.substr(answer.find("\r\n\r\n") + 4) + ";";
      write(next);
    }
    std::raise(SIGTERM);
  });
  EXPECT_EQ(http::run(std::move(app), "127.0.0.1:0"), 0);
  client.join();
  log::set_sink(nullptr);
  EXPECT_EQ(answers, "oneone;anotherone;");
  EXPECT_EQ(templates.render("page.html"), "another") << "after run() they stay as they are";
}

}  // namespace development_test
