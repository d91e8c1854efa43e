// Stapled OCSP responses, with a client of OpenSSL itself: ours does not ask for them.
#include <gtest/gtest.h>

#include "coax/tls/engine_private.hpp"
#include "tests/support/tls.hpp"

namespace ocsp_test {

using namespace coax;
using namespace coax::test;

namespace {

// The response that a client gets which accepts this kind of signature only. Empty: none.
std::string response_for(const tls::ServerContext& server, const char* signature, int version) {
  const tls::ContextPointer context(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_set_min_proto_version(context.get(), version);
  SSL_CTX_set_max_proto_version(context.get(), version);
  EXPECT_EQ(SSL_CTX_set1_sigalgs_list(context.get(), signature), 1);
  const tls::SslPointer client(SSL_new(context.get()));
  BIO* const received = BIO_new(BIO_s_mem());
  BIO* const unsent = BIO_new(BIO_s_mem());
  SSL_set_bio(client.get(), received, unsent);
  SSL_set_tlsext_host_name(client.get(), "localhost");
  SSL_set_tlsext_status_type(client.get(), TLSEXT_STATUSTYPE_ocsp);
  SSL_set_connect_state(client.get());

  tls::Engine engine(server);
  std::vector<char> room(128 * 1024);
  std::vector<char> input(128 * 1024);
  constexpr int flights_max = 10;
  bool is_complete = false;
  for (int flight = 0; flight < flights_max && !is_complete; ++flight) {
    is_complete = SSL_do_handshake(client.get()) == 1;
    const int count = BIO_read(unsent, input.data(), static_cast<int>(input.size()));
    if (count > 0) engine.feed({input.data(), static_cast<std::size_t>(count)});
    engine.set_output(room);
    EXPECT_NE(engine.handshake(), tls::Engine::Status::failed) << engine.failure();
    BIO_write(received, engine.output().data(), static_cast<int>(engine.output().size()));
  }
  EXPECT_TRUE(is_complete);
  const unsigned char* response = nullptr;
  const long size = SSL_get_tlsext_status_ocsp_resp(client.get(), &response);
  return size > 0 ? std::string(reinterpret_cast<const char*>(response), static_cast<std::size_t>(size)) : "";
}

}  // namespace

TEST(TlsOcsp, response_is_that_of_the_certificate_which_is_sent) {
  Certificates files;
  const auto identity = [&](tls::KeyKind kind, const char* response) {
    tls::Identity made = files.issue({.names = {"localhost"}, .key = kind});
    made.ocsp_file = files.path(response);
    write_file(made.ocsp_file, response);
    return made;
  };
  const tls::ServerContext both({.identities = {identity(tls::KeyKind::ec_p256, "response for EC"),
                                                identity(tls::KeyKind::rsa_2048, "response for RSA")}});
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    EXPECT_EQ(response_for(both, "ECDSA+SHA256", version), "response for EC");
    EXPECT_EQ(response_for(both, version == TLS1_2_VERSION ? "RSA+SHA256" : "RSA-PSS+SHA256:RSA+SHA256", version),
              "response for RSA");
  }
  tls::Identity without = files.issue({.names = {"localhost"}});
  const tls::ServerContext none({.identities = {without}});
  EXPECT_EQ(response_for(none, "ECDSA+SHA256", TLS1_3_VERSION), "");
}

}  // namespace ocsp_test
