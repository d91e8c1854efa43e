// An authority and certificates for tests, in files of a temporary folder, and contexts that use them.
#pragma once

#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "coax/stream/memory.hpp"
#include "coax/task/scope.hpp"
#include "coax/test/stream_pair.hpp"
#include "coax/tls/context.hpp"
#include "coax/tls/issue.hpp"
#include "coax/tls/stream.hpp"
#include "tests/support/folder.hpp"
#include "tests/support/run.hpp"

namespace coax::test {

inline void write_file(const std::string& path, std::string_view content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}

class Certificates {
 public:
  explicit Certificates(const tls::AuthorityOptions& options = {}) : authority_(tls::make_authority(options)) {
    write_file(ca(), authority_.certificate);
  }

  [[nodiscard]] std::string ca() const { return folder_.path("ca.pem"); }
  [[nodiscard]] std::string path(std::string_view file) const { return folder_.path(file); }
  [[nodiscard]] const tls::Issued& authority() const noexcept { return authority_; }
  // Files with a certificate that the authority has issued.
  tls::Identity issue(const tls::IssueOptions& options) { return write(tls::issue(authority_, options)); }
  tls::Identity write(const tls::Issued& issued) {
    const std::string name = std::to_string(count_++);
    tls::Identity identity{.certificate_file = path(name + ".pem"), .key_file = path(name + ".key")};
    write_file(identity.certificate_file, issued.certificate);
    write_file(identity.key_file, issued.key);
    return identity;
  }

 private:
  Folder folder_;
  tls::Issued authority_;
  int count_ = 0;
};

// Made once: for "localhost", 127.0.0.1 and ::1.
struct TestTls {
  Certificates files;
  tls::Identity server = files.issue({.names = {"localhost", "127.0.0.1", "::1"}});
  tls::ServerContext server_context{tls::ServerOptions{.identities = {server}}};
  tls::ClientContext client_context{tls::ClientOptions{.trust = tls::Trust::only(files.ca())}};
  tls::ClientContext client_context_12{
      tls::ClientOptions{.trust = tls::Trust::only(files.ca()), .version_max = tls::Version::tls12}};

  static TestTls& instance() {
    static TestTls made;
    return made;
  }
};

// Both sides of a handshake.
inline Task<> shake_hands(tls::Stream& client, tls::Stream& server) {
  co_await all(client.handshake(), server.handshake());
}

struct Sides {
  std::string client = "none";  // the texts of the errors
  std::string server = "none";
};

inline Task<> record_error(tls::Stream& stream, std::string& text) {
  text = co_await text_of_error(stream.handshake());
  if (text != "none") stream.close();
}

// A handshake over memory, after which each side sends a byte to the other.
struct Attempt {
  Attempt(const tls::ClientContext& client_context, const tls::ServerContext& server_context,
          std::string_view name = "localhost") {
    auto [near, far] = memory_stream_pair();
    client = std::make_unique<tls::Stream>(std::move(near), client_context, name);
    server = std::make_unique<tls::Stream>(std::move(far), server_context);
  }
  Task<Sides> run() {
    Sides sides;
    co_await all(record_error(*client, sides.client), record_error(*server, sides.server));
    co_return sides;
  }
  Task<> run_and_talk() {
    co_await shake_hands(*client, *server);
    co_await client->send("?");
    EXPECT_EQ((co_await server->recv()).text(), "?");
    co_await server->send("!");
    EXPECT_EQ((co_await client->recv()).text(), "!");
  }
  std::unique_ptr<tls::Stream> client;
  std::unique_ptr<tls::Stream> server;
};

// TLS over the streams of a pair, whose near end is the client.
inline Task<StreamPair> tls_pair_over(StreamPair below, const tls::ClientContext& client,
                                      const tls::ServerContext& server, std::string_view name = "localhost") {
  Stream* const far_below = below.far.get();
  auto near = std::make_unique<tls::Stream>(std::move(below.near), client, name);
  auto far = std::make_unique<tls::Stream>(std::move(below.far), server);
  co_await shake_hands(*near, *far);
  const auto cut = [far_below](StreamPair&) -> Task<> {
    far_below->close();
    co_return;
  };
  const auto reset = [far_below](StreamPair& pair) -> Task<> {
    if (far_below->peer().family() == Endpoint::Family::none &&
        pair.near->peer_name() != "memory") {  // a Unix socket is broken by unread bytes
      if (pair.near->send_stalled() == Duration::zero()) {
        co_await pair.near->send("unread");
        co_await pair.near->flush();
      }
    }
    far_below->abort();
  };
  co_return StreamPair{.near = std::move(near), .far = std::move(far), .reset_far = reset, .truncate_far = cut};
}

}  // namespace coax::test
