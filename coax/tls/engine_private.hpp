// Engine: the TLS protocol of one connection, without I/O: received bytes in, bytes to send out. OpenSSL's SSL with a
// BIO over the caller's buffers, which allocates nothing per record.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "coax/base/bytes.hpp"
#include "coax/base/error.hpp"
#include "coax/tls/openssl_private.hpp"

namespace coax::tls {

class Engine {
 public:
  // `server`: its name or IP address, which the certificate must be for; `resume_as`: the key of its session.
  Engine(const ClientContext& context, std::string_view server, std::string_view resume_as);
  explicit Engine(const ServerContext& context);
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  ~Engine();

  enum class Status : std::uint8_t {
    done,
    wants_input,   // feed() it; it has taken all of the last
    wants_output,  // send output() and clear it
    ended,         // the peer has sent its close_notify
    failed,        // see failure(); output() may have an alert for the peer
  };

  // Bytes from the peer. Lifetime: until has_input() is false; only then may the next be fed.
  void feed(BytesView bytes) noexcept { input_ = bytes; }
  [[nodiscard]] bool has_input() const noexcept { return !input_.empty(); }
  [[nodiscard]] BytesView input() const noexcept { return input_; }

  // Where the records to be sent are written. A write() needs record_bytes_max of room.
  static constexpr std::size_t record_bytes_max = 18 * 1024;
  static constexpr std::size_t plaintext_bytes_max = 16 * 1024;  // of one record
  void set_output(std::span<char> room) noexcept { room_ = room, used_ = 0; }
  [[nodiscard]] std::span<char> room() const noexcept { return room_.subspan(used_); }
  [[nodiscard]] BytesView output() const noexcept { return BytesView(room_.first(used_)); }

  [[nodiscard]] bool is_server() const noexcept { return server_ != nullptr; }
  // Continues the handshake. After `failed`, too, there may be output.
  Status handshake() noexcept;
  [[nodiscard]] bool is_open() const noexcept { return is_open_; }  // the handshake is complete
  // Decrypts the next bytes, of one record. After `done` the count is at least 1, else 0. It may have written an answer
  // into the output.
  Status read(std::span<char> into, std::size_t& count) noexcept;
  // Encrypts all of it, at most plaintext_bytes_max, as one record. After wants_output nothing was taken.
  Status write(BytesView bytes) noexcept;
  // Frees OpenSSL's buffers for records where they hold nothing: call it when the connection becomes idle.
  void release_buffers() noexcept;
  // Writes the close_notify, once.
  Status shut_down() noexcept;

  [[nodiscard]] bool is_http() const noexcept { return is_http_; }  // the failure: it speaks HTTP
  [[nodiscard]] ErrorKind failure_kind() const noexcept { return failure_kind_; }
  [[nodiscard]] const std::string& failure() const noexcept { return failure_; }
  [[nodiscard]] Duration handshake_limit() const noexcept;

  [[nodiscard]] Version version() const noexcept;
  [[nodiscard]] std::string cipher() const;
  [[nodiscard]] std::string group() const;
  [[nodiscard]] std::string alpn() const;
  [[nodiscard]] std::string server_name() const;
  [[nodiscard]] bool is_resumed() const noexcept;
  [[nodiscard]] std::size_t pending() const noexcept;
  [[nodiscard]] std::vector<Certificate> peer_chain() const;
  [[nodiscard]] bool has_peer_certificate() const noexcept;

  // Callbacks of OpenSSL.
  static int verify(X509_STORE_CTX* store, void*) noexcept;
  static int keep_session(SSL* ssl, SSL_SESSION* session) noexcept;
  static int prepare_ticket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac,
                            int encrypts) noexcept;
  static int date_ticket(SSL* ssl, void*) noexcept;
  static SSL_TICKET_RETURN accept_ticket(SSL* ssl, SSL_SESSION* session, const unsigned char* name, std::size_t size,
                                         SSL_TICKET_STATUS status, void*) noexcept;
  static void observe(int is_sent, int version, int content, const void* data, std::size_t size, SSL* ssl,
                      void*) noexcept;
  static const detail::ServerState& server_of(SSL* ssl) noexcept;
  static Engine& of(const SSL* ssl) noexcept;

 private:
  void attach(SSL_CTX* context);
  Status status_of(int result) noexcept;
  void issue_tickets() noexcept;
  bool fits_into_ticket(X509* certificate);
  void describe_failure(int result);
  void describe_verification(X509_STORE_CTX* store);
  [[nodiscard]] bool check_pin(X509_STORE_CTX* store) const;
  static BIO_METHOD* method();
  static int take(BIO* bio, char* into, int size) noexcept;
  static int put(BIO* bio, const char* from, int size) noexcept;

  struct Client {
    std::shared_ptr<detail::ClientState> state;
    std::string host;                   // what the certificate must be for
    std::string session;                // the key of its session
    std::chrono::sys_seconds verified;  // when the certificate of the session was
  };
  std::unique_ptr<Client> client_;  // null: a server, whose connections are many and idle
  std::shared_ptr<const detail::ServerState> server_;
  SslPointer ssl_;
  BytesView input_;
  std::span<char> room_;
  std::size_t used_ = 0;
  std::string failure_;
  Milliseconds handshake_limit_;
  std::uint16_t key_updates_ = 0;    // since the last byte of data
  std::uint8_t tickets_ = 0;         // of a client: all; the first tickets_max are kept
  std::uint8_t unread_tickets_ = 0;  // since the last byte of data
  ErrorKind failure_kind_ = ErrorKind::protocol;
  bool is_open_ = false;
  bool is_shut_down_ = false;
  bool has_issued_tickets_ = false;
  bool has_large_certificate_ = false;  // the client, too large for a ticket
  bool is_http_ = false;
  bool is_flooded_ = false;
};

}  // namespace coax::tls
