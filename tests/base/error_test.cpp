// An Error names the operation, the peer, the reason, and the reaction.
#include "coax/base/error.hpp"

#include <gtest/gtest.h>

#include <cerrno>

namespace error_test {

using coax::Error;
using coax::ErrorKind;

TEST(Error, reads_operation_peer_reason) {
  EXPECT_STREQ(Error(ECONNREFUSED, "connect to", "127.0.0.1:9").what(), "connect to 127.0.0.1:9: Connection refused");
}

TEST(Error, leaves_out_a_peer_that_is_not_known) {
  EXPECT_STREQ(Error(EMFILE, "accept").what(), "accept: Too many open files");
}

TEST(Error, ends_with_the_advice) {
  EXPECT_STREQ(Error(EADDRINUSE, "listen on", "[::]:80", "another program has it").what(),
               "listen on [::]:80: Address already in use; another program has it");
}

TEST(Error, takes_a_reason_in_words) {
  const Error error(ErrorKind::protocol, "handshake with", "10.0.0.1:443", "no version in common");
  EXPECT_STREQ(error.what(), "handshake with 10.0.0.1:443: no version in common");
  EXPECT_EQ(error.kind(), ErrorKind::protocol);
  EXPECT_EQ(error.operation(), "handshake with");
  EXPECT_EQ(error.peer(), "10.0.0.1:443");
}

TEST(Error, carries_the_code_of_the_system) {
  EXPECT_EQ(Error(ECONNREFUSED, "connect to").code(), std::errc::connection_refused);
  EXPECT_EQ(Error(ErrorKind::timed_out, "recv from", "", "nothing came").code(), std::errc::timed_out);
}

TEST(Error, of_an_incomplete_read_carries_the_received_bytes) {
  const coax::IncompleteRead error("10.0.0.1:7", "abc", 10);
  EXPECT_STREQ(error.what(), "recv from 10.0.0.1:7: the stream ended after 3 of 10 bytes");
  EXPECT_EQ(error.received(), "abc");
  EXPECT_EQ(error.kind(), ErrorKind::disconnected);
}

TEST(KindOf, names_the_reaction) {
  EXPECT_EQ(coax::kind_of(ETIMEDOUT), ErrorKind::timed_out);
  EXPECT_EQ(coax::kind_of(ECONNREFUSED), ErrorKind::refused);
  EXPECT_EQ(coax::kind_of(ENETUNREACH), ErrorKind::unreachable);
  EXPECT_EQ(coax::kind_of(EPIPE), ErrorKind::disconnected);
  EXPECT_EQ(coax::kind_of(ENOLINK), ErrorKind::truncated);
  EXPECT_EQ(coax::kind_of(ECONNRESET), ErrorKind::disconnected);
  EXPECT_EQ(coax::kind_of(EMFILE), ErrorKind::overloaded);
  EXPECT_EQ(coax::kind_of(ENOBUFS), ErrorKind::overloaded);
  EXPECT_EQ(coax::kind_of(EADDRINUSE), ErrorKind::address);
  EXPECT_EQ(coax::kind_of(EACCES), ErrorKind::permission);
  EXPECT_EQ(coax::kind_of(EPROTO), ErrorKind::protocol);
  EXPECT_EQ(coax::kind_of(ENOTCONN), ErrorKind::invalid);
  EXPECT_EQ(coax::kind_of(EAFNOSUPPORT), ErrorKind::unsupported);
  EXPECT_EQ(coax::kind_of(EWOULDBLOCK), ErrorKind::would_block);
  EXPECT_EQ(coax::kind_of(EINPROGRESS), ErrorKind::would_block);
  EXPECT_EQ(coax::kind_of(EIO), ErrorKind::other);
}

TEST(KindOf, gives_back_the_kind_of_an_error_without_a_system_error) {
  for (int value = 0; value <= static_cast<int>(ErrorKind::other); ++value) {
    const auto kind = static_cast<ErrorKind>(value);
    EXPECT_EQ(coax::kind_of(Error(kind, "test", "", "").code().value()), kind) << to_string(kind);
  }
}

TEST(ToString, spells_the_kind) {
  EXPECT_EQ(to_string(ErrorKind::timed_out), "timed_out");
  EXPECT_EQ(to_string(ErrorKind::overloaded), "overloaded");
  EXPECT_EQ(to_string(ErrorKind::other), "other");
}

TEST(Error, escapes_untrusted_text) {
  const Error words(ErrorKind::protocol, "ask\n", "@a\x1B[2J", "said \u202E\xFF");
  EXPECT_STREQ(words.what(), "ask\\x0A @a\\x1B[2J: said \\xE2\\x80\\xAE\\xFF");
  EXPECT_EQ(words.operation(), "ask\\x0A");
  EXPECT_EQ(words.peer(), "@a\\x1B[2J");
  EXPECT_STREQ(Error(ENOENT, "open", "a\rb", "try\tc").what(), "open a\\x0Db: No such file or directory; try\\x09c");
}

TEST(Error, of_an_error_escapes_once) {
  const Error inner(ErrorKind::invalid, "read", "\x1B", "bad");
  EXPECT_STREQ(Error(ErrorKind::invalid, "open", "f", inner.what()).what(), "open f: read \\x1B: bad");
}

}  // namespace error_test
