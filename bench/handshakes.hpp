// Handshakes: each of the connections is opened, has one message answered, is closed, and is opened again. With
// --resume each continues the session of the one before it, by its ticket.
#pragma once

#include "bench/channel.hpp"

namespace bench {

class Handshakes {
 public:
  explicit Handshakes(const Options& options)
      : target_(options.target()),
        resume_(options.has("resume")),
        question_(options.has("http") ? "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n" : "?"),
        answer_(options.has("http") ? "Hello world!" : "?"),
        context_(ssl_client_context()),
        slots_(options.count("connections", 1)),
        meter_(options) {
    SSL_CTX_set_session_cache_mode(context_.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context_.get(), [](SSL* ssl, SSL_SESSION* session) {
      static_cast<Slot*>(SSL_get_app_data(ssl))->session.reset(session);
      return 1;  // it is ours
    });
  }

  void run() {
    for (std::size_t index = 0; index < slots_.size(); ++index) open(index);
    while (meter_.turn(finished_)) {
      for (const epoll_event& event : epoll_.wait(100)) {
        if ((event.events & (EPOLLIN | ended_events)) != 0) advance(event.data.u32);
      }
    }
    meter_.print();
  }

 private:
  enum class Step : std::uint8_t { handshake, answer, end };
  struct Slot {
    int fd = -1;
    Ssl ssl;
    SslSession session;  // of the last connection
    Step step = Step::handshake;
    std::uint64_t begun = 0;
    std::string answer;
  };

  void open(std::size_t index) {
    Slot& slot = slots_[index];
    slot.begun = now();
    slot.fd = connect_to(target_, opened_++ % (8000UL * 250));
    slot.ssl = ssl_on(context_, slot.fd, false);
    slot.step = Step::handshake;
    slot.answer.clear();
    SSL_set_app_data(slot.ssl.get(), &slot);
    if (resume_ && slot.session) SSL_set_session(slot.ssl.get(), slot.session.get());
    shake_hands(slot);
    epoll_.add(slot.fd, static_cast<std::uint32_t>(index));
  }

  void advance(std::size_t index) {
    Slot& slot = slots_[index];
    if (slot.step == Step::handshake) shake_hands(slot);
    if (slot.step == Step::answer) read_answer(slot);
    if (slot.step != Step::end || !has_ended(slot)) return;
    slot.ssl.reset();
    close(slot.fd);
    open(index);
  }

  void shake_hands(Slot& slot) const {
    ERR_clear_error();
    const int result = SSL_do_handshake(slot.ssl.get());
    if (result != 1) {
      if (SSL_get_error(slot.ssl.get(), result) != SSL_ERROR_WANT_READ) fail_with_openssl("TLS handshake");
      return;
    }
    if (resume_ && slot.session && SSL_session_reused(slot.ssl.get()) == 0) {
      throw std::runtime_error("the server does not resume a session");
    }
    slot.session.reset();
    slot.step = Step::answer;
    if (SSL_write(slot.ssl.get(), question_.data(), static_cast<int>(question_.size())) <= 0) fail_with_openssl("send");
  }

  void read_answer(Slot& slot) {
    std::array<char, 4096> bytes{};
    int got = 0;
    ERR_clear_error();
    while ((got = SSL_read(slot.ssl.get(), bytes.data(), bytes.size())) > 0) {
      slot.answer.append(bytes.data(), static_cast<std::size_t>(got));
    }
    if (SSL_get_error(slot.ssl.get(), got) != SSL_ERROR_WANT_READ) {
      throw std::runtime_error("the server closed a connection");
    }
    if (!slot.answer.ends_with(answer_)) return;
    if (resume_ && !slot.session) throw std::runtime_error("the server gave no ticket before its answer");
    meter_.latency.add(now() - slot.begun);
    ++finished_;
    SSL_shutdown(slot.ssl.get());
    shutdown(slot.fd, SHUT_WR);
    slot.step = Step::end;
  }

  // The bytes until then are the end of TLS.
  static bool has_ended(const Slot& slot) {
    std::array<char, 4096> bytes{};
    ssize_t got = 0;
    while ((got = recv(slot.fd, bytes.data(), bytes.size(), 0)) > 0) {
    }
    return got == 0 || errno != EAGAIN;
  }

  sockaddr_in target_;
  bool resume_;
  std::string question_;
  std::string answer_;
  SslContext context_;
  std::vector<Slot> slots_;
  Meter meter_;
  Epoll epoll_;
  std::size_t opened_ = 0;
  std::uint64_t finished_ = 0;
};

inline int run_handshakes(const Options& options) {
  Handshakes(options).run();
  return 0;
}

}  // namespace bench
