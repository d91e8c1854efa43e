// Verifies docs/guide/embedding.md: its code is here, word for word, and runs.
#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>

#include "coax/coax.hpp"
#include "tests/support/run.hpp"

namespace embedding_guide_test {

using namespace coax;
using namespace std::chrono_literals;

namespace {

// --- from the guide ---
void run_beside(Loop& loop, const bool& is_over) {
  pollfd waiting{.fd = loop.poll_descriptor(), .events = POLLIN, .revents = 0};
  while (!is_over) {
    const auto timeout = loop.poll_timeout();
    const auto limit = timeout ? std::chrono::ceil<std::chrono::milliseconds>(*timeout).count() : -1;
    ::poll(&waiting, 1, static_cast<int>(std::min<std::int64_t>(limit, 60'000)));
    loop.run_once();
  }
}

void download(LoopTasks& tasks, std::string host, std::string& page) {
  tasks.start([host = std::move(host), &page]() -> Task<> {
    const auto stream = co_await connect(host);
    co_await stream->send("GET / HTTP/1.0\r\n\r\n");
    while (const auto bytes = co_await stream->recv()) page += bytes;
  });
}

void close_window(LoopTasks& tasks, bool& is_over) {
  tasks.cancel();
  tasks.when_empty([&is_over] { is_over = true; });
}

void notify(Loop& loop, Event& event) {
  const auto entered = loop.enter();
  event.set();
}
// --- until here ---

using EmbeddingGuide = test::OnKernel;

Task<> answer_one(SocketListener& listener) {
  const auto accepted = co_await listener.accept();
  const auto stream = SocketStream::adopt(accepted.native);
  co_await stream->send("page of " + co_await stream->recv_exactly(18));
}

}  // namespace

TEST(EmbeddingGuideText, quotes_what_is_compiled_here) {
  const auto text_of = [](const char* path) {
    std::ifstream file(path);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  const std::string guide = text_of("docs/guide/embedding.md");
  const std::string here = text_of("tests/loop/embedding_guide_test.cpp");
  constexpr std::string_view opening = "```cpp\n";
  std::size_t blocks = 0;
  for (std::size_t at = guide.find(opening); at != std::string::npos; at = guide.find(opening, at), ++blocks) {
    at += opening.size();
    const std::string code = guide.substr(at, guide.find("```\n", at) - at);
    const bool is_program = code.contains("int main(");  // tests/tools/docs_test.py finds it in examples/
    if (!is_program) EXPECT_NE(here.find(code), std::string::npos) << code;
    at += code.size() + 1;
  }
  EXPECT_EQ(blocks, 5U);
}

TEST_F(EmbeddingGuide, download_and_close) {
  Loop loop;
  const auto entered = loop.enter();
  SocketListener listener("127.0.0.1:0");
  std::string page;
  LoopTasks tasks(loop);
  bool is_over = false;
  tasks.start(answer_one(listener));
  download(tasks, listener.local().to_string(), page);
  tasks.when_empty([&is_over] { is_over = true; });
  run_beside(loop, is_over);
  EXPECT_EQ(page, "page of GET / HTTP/1.0\r\n\r\n");
}

TEST_F(EmbeddingGuide, notify_and_close_window) {
  Loop loop;
  LoopTasks tasks(loop);
  Event event;
  bool is_over = false;
  tasks.start([&]() -> Task<> {
    co_await event.wait();
    close_window(tasks, is_over);
    co_await sleep(1h);
  });
  notify(loop, event);
  run_beside(loop, is_over);
  EXPECT_EQ(tasks.size(), 0U);
}

}  // namespace embedding_guide_test
