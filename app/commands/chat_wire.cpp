// Splits the server's bytes into messages, by lines or by pauses.
#include "app/commands/chat_wire.hpp"

#include "app/console/report.hpp"
#include "coax/base/error.hpp"
#include "coax/base/text.hpp"
#include "coax/task/scope.hpp"

namespace coax::app {

namespace {

using namespace std::chrono_literals;

constexpr Duration question_time_max = 5s;  // for `NICK`
constexpr Duration send_time_max = 30s;

}  // namespace

Task<> Wire::expect_question() {
  std::string question;
  try {
    question = co_await timeout(question_time_max, stream_->recv_exactly(4));
  } catch (const IncompleteRead& read) {
    question = read.received();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::timed_out) throw;
  }
  if (question == "NICK") co_return;
  const std::string said = question.empty() ? "nothing" : fmt::format("\"{}\"", printable(question));
  throw Failure{fmt::format("{} is no chat server: it said {} where a chat server says NICK{}", stream_->peer_name(),
                            said, stream_->is_encrypted() ? "" : "; a server with TLS needs --tls")};
}

Task<std::vector<Message>> Wire::next() {
  std::vector<Message> messages;
  while (true) {
    while (const auto event = decoder_.next()) take(*event, true, messages);
    if (paused_ || ended_) {
      paused_ = unfinished_ = false;
      if (const auto event = decoder_.rest()) take(*event, false, messages);
    }
    if (!messages.empty() || ended_) co_return messages;
    const BytesView bytes = co_await recv_until_pause();
    ended_ = bytes.empty() && !paused_;
    unfinished_ = true;
    decoder_.feed(bytes);
  }
}

// Empty: the stream has ended, or paused_ is set. Between lines the pause is long, so that no line of a slow network is
// split; it exists for a tutorial's server that forwarded the line end of another client.
Task<BytesView> Wire::recv_until_pause() {
  if (unfinished_) {
    try {
      const BytesView bytes = co_await timeout(by_lines() ? Duration(1s) : Duration(50ms), stream_->recv());
      co_return bytes;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::timed_out) throw;
      paused_ = true;
    }
    co_return BytesView();
  }
  const BytesView bytes = co_await stream_->recv();
  co_return bytes;
}

void Wire::take(const LineEvent& event, bool is_line, std::vector<Message>& messages) {
  if (event.kind == LineEvent::Kind::too_long) {
    messages.push_back({"error: a message that is much too long was left out"});
  } else if (!event.bytes.empty()) {
    messages.push_back({printable(event.bytes, line_bytes_max), is_line});
  }
}

Task<> Wire::send(std::string message) {
  if (by_lines()) message += '\n';
  const auto send_all = [&]() -> Task<> { co_await stream_->send(message); };
  co_await within(send_time_max, "send to", stream_->peer_name(), send_all());
}

Task<> Wire::leave() {
  co_await stream_->shutdown_send();
  while (const BytesView bytes = co_await stream_->recv()) {
  }
}

}  // namespace coax::app
