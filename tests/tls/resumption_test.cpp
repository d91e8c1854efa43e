// Sessions that are resumed, as long as the certificates that they rest on are valid.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include "coax/tls/openssl_private.hpp"
#include "tests/support/run.hpp"
#include "tests/support/tls.hpp"

namespace resumption_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;
using tls::Trust;

namespace {

TestTls& test_tls() { return TestTls::instance(); }

tls::ServerContext server_with(const tls::Identity& identity) {
  return tls::ServerContext(tls::ServerOptions{.identities = {identity}});
}
tls::ServerContext server_for_known_clients() {
  return tls::ServerContext({.identities = {test_tls().server},
                             .client_certificate = tls::ClientCertificate::required,
                             .client_ca_file = test_tls().files.ca()});
}

struct ShiftedClock {
  explicit ShiftedClock(std::chrono::seconds by) { tls::shift_wall_clock(by); }
  ShiftedClock(const ShiftedClock&) = delete;
  ShiftedClock& operator=(const ShiftedClock&) = delete;
  ~ShiftedClock() { tls::shift_wall_clock(0s); }
};

bool resumes(const tls::ClientContext& client, const tls::ServerContext& server) {
  bool is_resumed = false;
  run([&]() -> Task<> {
    Attempt attempt(client, server);
    co_await attempt.run_and_talk();
    is_resumed = attempt.server->is_resumed();
  });
  return is_resumed;
}

}  // namespace

TEST(TlsResumption, second_connection_resumes_the_session) {
  const TestTls& test = test_tls();
  for (const tls::Version version : {tls::Version::tls12, tls::Version::tls13}) {
    const tls::ClientContext client({.trust = Trust::only(test.files.ca()), .version_max = version});
    const tls::ServerContext server(tls::ServerOptions{.identities = {test.server}});
    run([&]() -> Task<> {
      for (int round = 0; round < 4; ++round) {
        Attempt attempt(client, server);
        co_await attempt.run_and_talk();
        EXPECT_EQ(attempt.client->is_resumed(), round != 0) << to_string(version);
        EXPECT_EQ(attempt.server->is_resumed(), round != 0) << to_string(version);
        EXPECT_TRUE(attempt.client->peer_certificate());
      }
    });
  }
}

TEST(TlsResumption, tickets_survive_a_reload_and_keep_the_clients_certificate) {
  const tls::Identity alice =
      test_tls().files.issue({.names = {}, .common_name = "alice", .is_for_server = false, .is_for_client = true});
  const tls::ClientContext client({.trust = Trust::only(test_tls().files.ca()), .identity = alice});
  tls::ServerContext server = server_for_known_clients();
  run([&]() -> Task<> {
    for (int round = 0; round < 3; ++round) {
      Attempt attempt(client, server);
      co_await attempt.run_and_talk();
      EXPECT_EQ(attempt.server->is_resumed(), round != 0);
      EXPECT_EQ(attempt.server->peer_certificate().value_or(tls::Certificate{}).common_name, "alice");
      server.reload();
    }
  });
}

TEST(TlsResumption, certificate_of_the_server_is_verified_again_after_its_end_and_after_half_a_day) {
  using std::chrono::days;
  for (const tls::Version version : {tls::Version::tls12, tls::Version::tls13}) {
    Certificates files;
    const auto trusting = [&](Trust trust) {
      return tls::ClientContext({.trust = std::move(trust), .version_max = version});
    };
    const tls::ServerContext lasting = server_with(files.issue({.names = {"localhost"}}));
    const tls::ClientContext client = trusting(Trust::only(files.ca()));
    const bool expected[] = {false, true, true, false, true};
    for (int round = 0; round < 5; ++round) {
      const ShiftedClock clock(5h * round);
      EXPECT_EQ(resumes(client, lasting), expected[round]) << to_string(version) << " after " << 5 * round << " hours";
    }

    const tls::ServerContext ending =
        server_with(files.issue({.names = {"localhost"}, .lifetime = days(1), .begins_in = days(-1)}));
    const tls::ClientContext other = trusting(Trust::only(files.ca()));
    const tls::ClientContext pinning = trusting(Trust::pinned(ending.certificates().front().sha256));
    {
      const ShiftedClock clock(-30min);
      for (const bool is_second : {false, true}) {
        EXPECT_EQ(resumes(other, ending), is_second);
        EXPECT_EQ(resumes(pinning, ending), is_second);
      }
    }
    const ShiftedClock clock(30min);
    run([&]() -> Task<> {
      Attempt attempt(other, ending);
      const Sides sides = co_await attempt.run();
      EXPECT_TRUE(sides.client.contains(" expired 30 minutes ago ")) << sides.client;
    });
    EXPECT_TRUE(resumes(pinning, ending)) << "dates do not count";
  }
}

TEST(TlsResumption, certificate_of_the_client_is_verified_again_after_its_end_and_after_half_a_day) {
  using std::chrono::days;
  for (const tls::Version version : {tls::Version::tls12, tls::Version::tls13}) {
    tls::IssueOptions options{.names = {}, .common_name = "alice", .is_for_server = false, .is_for_client = true};
    const auto client_context = [&] {
      return tls::ClientContext({.trust = Trust::pinned(test_tls().server_context.certificates().front().sha256),
                                 .identity = test_tls().files.issue(options),
                                 .version_max = version});
    };
    const tls::ServerContext server = server_for_known_clients();
    const tls::ClientContext client = client_context();
    const bool expected[] = {false, true, true, false, true};
    for (int round = 0; round < 5; ++round) {
      const ShiftedClock clock(5h * round);
      EXPECT_EQ(resumes(client, server), expected[round]) << to_string(version) << " after " << 5 * round << " hours";
    }

    options.lifetime = days(1);
    options.begins_in = days(-1);
    const tls::ClientContext ending = client_context();
    {
      const ShiftedClock clock(-30min);
      for (const bool is_second : {false, true}) EXPECT_EQ(resumes(ending, server), is_second);
    }
    const ShiftedClock clock(30min);
    run([&]() -> Task<> {
      Attempt attempt(ending, server);
      const Sides sides = co_await attempt.run();
      EXPECT_TRUE(sides.server.contains("expired 30 minutes ago")) << sides.server;
    });
  }
}

TEST(TlsClientCertificate, large_one_is_not_put_into_tickets) {
  const auto with_names = [](int count) {
    tls::IssueOptions options{.names = {}, .common_name = "large", .is_for_server = false, .is_for_client = true};
    for (int number = 0; number < count; ++number) options.names.push_back(fmt::format("host-{}.example", number));
    return test_tls().files.issue(options);
  };
  const tls::ServerContext server = server_for_known_clients();
  const auto client_of = [&](const tls::Identity& identity, tls::Version version) {
    return tls::ClientContext(
        {.trust = Trust::only(test_tls().files.ca()), .identity = identity, .version_max = version});
  };
  const tls::Identity of_50_kb = with_names(2'500);
  for (const tls::Version version : {tls::Version::tls12, tls::Version::tls13}) {
    const tls::ClientContext client = client_of(of_50_kb, version);
    for (int round = 0; round < 2; ++round) EXPECT_FALSE(resumes(client, server)) << to_string(version);
  }
  const tls::Identity of_100_kb = with_names(5'000);
  EXPECT_FALSE(resumes(client_of(of_100_kb, tls::Version::tls13), server));
  run([&]() -> Task<> {
    Attempt attempt(client_of(of_100_kb, tls::Version::tls12), server);
    EXPECT_EQ((co_await attempt.run()).server,
              "TLS handshake with memory: its certificate has more than 60 KB, which is too much for TLS 1.2");
  });
}

}  // namespace resumption_test
