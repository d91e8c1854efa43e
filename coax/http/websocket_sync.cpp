// Each call is a task that the private loop runs to its end.
#include "coax/http/websocket_sync.hpp"

#include <utility>

#include "coax/loop/loop.hpp"
#include "coax/task/run.hpp"
#include "coax/task/scope.hpp"

namespace coax::ws {

struct SyncClient::State {
  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  // In a turn of the loop, at whose end the close frame is sent.
  ~State() {
    if (client) run_to_end(loop, destroy());
  }
  Task<> destroy() {
    client.reset();
    co_return;
  }

  Loop loop;
  std::unique_ptr<Client> client;
  std::optional<Duration> timeout;
};

namespace {

Task<> open_into(std::unique_ptr<Client>& client, std::string_view url, const ClientOptions& options) {
  client = co_await connect(url, options);
}

Task<> receive_into(Message& message, Client& client) { message = co_await client.recv(); }

Task<> close_and_disconnect(Client& client, std::uint16_t code, std::string_view reason) {
  co_await client.close(code, reason);
  co_await client.wait_closed();
  client.stream().close();
}

}  // namespace

SyncClient::SyncClient(std::string_view url, const ClientOptions& options) : state_(std::make_unique<State>()) {
  run_to_end(state_->loop, open_into(state_->client, url, options));
}

SyncClient::SyncClient(SyncClient&&) noexcept = default;
SyncClient& SyncClient::operator=(SyncClient&&) noexcept = default;
SyncClient::~SyncClient() = default;

Message SyncClient::recv() {
  Message message;
  run(receive_into(message, *state_->client), "recv from");
  return message;
}

void SyncClient::send_text(BytesView utf8) { run(state_->client->send_text(utf8), "send to"); }
void SyncClient::send_binary(BytesView bytes) { run(state_->client->send_binary(bytes), "send to"); }
void SyncClient::send(const Message& message) { run(state_->client->send(message), "send to"); }

void SyncClient::close(std::uint16_t code, std::string_view reason) {
  run(close_and_disconnect(*state_->client, code, reason), "close the WebSocket to");
}

void SyncClient::run(Task<> task, const char* operation) {
  if (!state_->timeout) return run_to_end(state_->loop, std::move(task));
  const Duration limit = *state_->timeout;
  const auto in_time = [](Duration most, Task<> limited) -> Task<> {
    co_await coax::timeout(most, std::move(limited));
  };
  try {
    run_to_end(state_->loop, in_time(limit, std::move(task)));
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::timed_out || error.operation() != "wait") throw;
    throw Error(ErrorKind::timed_out, operation, peer_name(), "not complete after " + format_duration(limit));
  }
}

void SyncClient::set_timeout(std::optional<Duration> timeout) noexcept { state_->timeout = timeout; }
std::optional<Duration> SyncClient::timeout() const noexcept { return state_->timeout; }

std::string_view SyncClient::protocol() const noexcept { return state_->client->protocol(); }
std::uint16_t SyncClient::peer_close_code() const noexcept { return state_->client->peer_close_code(); }
std::string_view SyncClient::peer_close_reason() const noexcept { return state_->client->peer_close_reason(); }
std::string SyncClient::peer_name() const { return state_->client->stream().peer_name(); }

}  // namespace coax::ws
