// A reader of lines, frames or JSON refuses a peer that speaks another protocol: an answer, an error, then the end.
#include <gtest/gtest.h>

#include "coax/stream/frames.hpp"
#include "coax/stream/json_messages.hpp"
#include "coax/stream/lines.hpp"
#include "coax/stream/memory.hpp"
#include "tests/support/run.hpp"

namespace coax::foreign_test {
namespace {

using test::outcome;
using test::run;

constexpr std::string_view request =
    "POST /1:x HTTP/1.1\r\nHost: localhost\r\nCookie: secret\r\n\r\n{\"type\":\"join\",\"nick\":\"x\"}\n";

Task<std::optional<BytesView>> next(Lines& lines) { return lines.next(); }
Task<std::optional<BytesView>> next(Frames& frames) { return frames.next(); }
Task<std::optional<BytesView>> next(JsonMessages& messages) { return messages.recv(); }

template <class Reader, class... Options>
void expect_refused(std::string_view sent, ForeignProtocol protocol, Options... options) {
  run([=]() -> Task<> {
    auto [near, far] = memory_stream_pair();
    co_await far->send(sent);
    Reader reader(*near, options...);
    bool refused = false;
    try {
      const auto read = co_await next(reader);
      ADD_FAILURE() << "it read " << (read ? read->text() : "the end");
    } catch (const ForeignProtocolError&) {
      refused = true;
    }
    EXPECT_TRUE(refused);
    const auto after = co_await next(reader);
    EXPECT_FALSE(after);
    near->close();
    std::string answer;
    while (const BytesView bytes = co_await far->recv()) answer.append(bytes.text());
    EXPECT_EQ(answer, foreign_answer(protocol).text());
  });
}

TEST(Foreign, http_on_lines_frames_and_json_is_refused) {
  expect_refused<Lines>(request, ForeignProtocol::http);
  expect_refused<Lines>(request, ForeignProtocol::http, LinesOptions{.pause = std::chrono::milliseconds(50)});
  expect_refused<Frames>(request, ForeignProtocol::http, Framing::delimited("\n"));
  expect_refused<Frames>(request, ForeignProtocol::http, Framing::delimited(std::string(1, '\0')));
  expect_refused<Frames>(request, ForeignProtocol::http, Framing::length_prefixed(LengthPrefix::u8));
  expect_refused<Frames>(request, ForeignProtocol::http, Framing::fixed(4));
  expect_refused<JsonMessages>(request, ForeignProtocol::http);
}

TEST(Foreign, tls_and_ssh_are_refused) {
  const std::string_view hello("\x16\x03\x01\x00\x05hello", 10);
  expect_refused<Lines>(hello, ForeignProtocol::tls);
  expect_refused<JsonMessages>(hello, ForeignProtocol::tls);
  expect_refused<Lines>("SSH-2.0-x\r\n", ForeignProtocol::ssh);
}

TEST(Foreign, is_let_through_where_the_reader_asks_for_it) {
  run([]() -> Task<> {
    auto [near, far] = memory_stream_pair();
    co_await far->send(request);
    Lines lines(*near, {.refuse_foreign = false});
    const auto line = co_await lines.next();
    EXPECT_EQ(line->text(), "POST /1:x HTTP/1.1");
  });
}

TEST(Foreign, byte_by_byte_returns_no_line) {
  run([]() -> Task<> {
    auto [near, far] = memory_stream_pair();
    Lines lines(*near);
    const auto send = [](Stream& to) -> Task<> {
      for (const char& c : request.substr(0, 20)) co_await to.send(BytesView(&c, 1));
    };
    const auto read = [](Lines& from) -> Task<> {
      const auto line = co_await from.next();
      ADD_FAILURE() << line.value_or("the end").text();
    };
    EXPECT_EQ(co_await outcome(all(send(*far), read(lines))), "protocol");
    const auto after = co_await lines.next();
    EXPECT_FALSE(after);
  });
}

}  // namespace
}  // namespace coax::foreign_test
