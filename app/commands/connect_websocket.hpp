// coax connect ws://...: standard input and output over a WebSocket.
#pragma once

#include <CLI/App.hpp>
#include <optional>
#include <string>
#include <vector>

#include "app/console/relay.hpp"
#include "app/console/tls_flags.hpp"
#include "coax/base/units.hpp"

namespace coax::app {

class WebSocketFlags {
 public:
  explicit WebSocketFlags(CLI::App& command);

  [[nodiscard]] bool any() const noexcept;
  // Runs until both sides have finished. Returns: the exit code. Throws: WrongUsage.
  [[nodiscard]] int connect(const std::string& url, RelayOptions options, Duration limit,
                            const std::optional<TlsClient>& tls, bool is_verbose) const;

 private:
  bool is_binary_ = false;
  std::vector<std::string> headers_;
  std::vector<std::string> protocols_;
  std::string origin_;
  std::string ping_;
};

// Whether it is the URL of a WebSocket, valid or not.
bool is_websocket_url(std::string_view text) noexcept;
bool is_secure_websocket_url(std::string_view text) noexcept;

}  // namespace coax::app
