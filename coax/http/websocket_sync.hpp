// A blocking WebSocket client, in the shape of websockets.sync.client in Python:
//
//   coax::ws::SyncClient client("ws://127.0.0.1:8080/chat");
//   client.send_text("Hello!");
//   while (auto message = client.recv()) coax::print_line("{}", coax::printable(message.data));
//
// It is a ws::Client on a loop of its own, which runs during the calls alone: pings of the server are answered by
// recv(). A program that computes for longer than the server waits for a pong (often 20 to 30 s) calls recv() with a
// timeout meanwhile, or uses ws::Client.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "coax/http/websocket_client.hpp"

namespace coax::ws {

// Thread: that of its constructor. Inside of a task it blocks the task's loop.
class SyncClient {
 public:
  // Connects, and opens the WebSocket. Throws: as connect().
  explicit SyncClient(std::string_view url, const ClientOptions& options = {});
  SyncClient(SyncClient&&) noexcept;
  SyncClient& operator=(SyncClient&&) noexcept;
  // Closes with 1001, if it is open, without a wait.
  ~SyncClient();

  // As those of WebSocket, and Error(timed_out) when a call takes longer than the timeout. After it recv() continues
  // where it was; after a send of which a part was sent, every later send fails.
  Message recv();
  void send_text(BytesView utf8);
  void send_binary(BytesView bytes);
  void send(const Message& message);
  // Sends a close frame, waits for that of the server for a few seconds, and disconnects.
  void close(std::uint16_t code = close_code::normal, std::string_view reason = {});

  // Of each later call as a whole. Nothing, the default: no limit.
  void set_timeout(std::optional<Duration> timeout) noexcept;
  [[nodiscard]] std::optional<Duration> timeout() const noexcept;

  // As those of WebSocket.
  [[nodiscard]] std::string_view protocol() const noexcept;
  [[nodiscard]] std::uint16_t peer_close_code() const noexcept;
  [[nodiscard]] std::string_view peer_close_reason() const noexcept;
  [[nodiscard]] std::string peer_name() const;

 private:
  struct State;
  void run(Task<> task, const char* operation);

  std::unique_ptr<State> state_;
};

}  // namespace coax::ws
