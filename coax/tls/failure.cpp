// Why a connection failed, in words: alerts by their names in RFC 8446, and what is wrong with which certificate.
#include <fmt/chrono.h>
#include <fmt/core.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <array>

#include "coax/base/text.hpp"
#include "coax/tls/engine_private.hpp"

namespace coax::tls {

namespace {

// RFC 8446, section 6, and RFC 7301.
std::string alert_name(int number) {
  struct Alert {
    int number;
    const char* name;
  };
  static constexpr Alert alerts[] = {{0, "close_notify"},
                                     {10, "unexpected_message"},
                                     {20, "bad_record_mac"},
                                     {22, "record_overflow"},
                                     {40, "handshake_failure"},
                                     {42, "bad_certificate"},
                                     {43, "unsupported_certificate"},
                                     {44, "certificate_revoked"},
                                     {45, "certificate_expired"},
                                     {46, "certificate_unknown"},
                                     {47, "illegal_parameter"},
                                     {48, "unknown_ca"},
                                     {49, "access_denied"},
                                     {50, "decode_error"},
                                     {51, "decrypt_error"},
                                     {70, "protocol_version"},
                                     {71, "insufficient_security"},
                                     {80, "internal_error"},
                                     {86, "inappropriate_fallback"},
                                     {90, "user_canceled"},
                                     {100, "no_renegotiation"},
                                     {109, "missing_extension"},
                                     {110, "unsupported_extension"},
                                     {112, "unrecognized_name"},
                                     {113, "bad_certificate_status_response"},
                                     {115, "unknown_psk_identity"},
                                     {116, "certificate_required"},
                                     {120, "no_application_protocol"}};
  for (const Alert& alert : alerts) {
    if (alert.number == number) return alert.name;
  }
  return fmt::format("{}", number);
}

std::string_view alert_advice(int number) {
  switch (number) {
    case 10: return ": perhaps this port is not for TLS";
    case 40: return ": no cipher suite, group or signature algorithm in common";
    case 42:
    case 43:
    case 46: return ": it does not accept our certificate";
    case 45: return ": our certificate has expired";
    case 48: return ": it does not trust the issuer of our certificate";
    case 70: return ": no version of TLS in common";
    case 112: return ": it has no such name";
    case 116: return ": it requires a client certificate";
    case 120: return ": no application protocol (ALPN) in common";
    default: return "";
  }
}

std::string date_text(Certificate::Time time) { return fmt::format("{:%Y-%m-%d %H:%M} UTC", time); }

// "3 days", "5 hours"
std::string span_text(std::chrono::seconds span) {
  const auto text = [](auto count, std::string_view unit) {
    return fmt::format("{} {}{}", count, unit, count == 1 ? "" : "s");
  };
  if (span >= std::chrono::days(1)) return text(span / std::chrono::days(1), "day");
  if (span >= std::chrono::hours(1)) return text(span / std::chrono::hours(1), "hour");
  return text(span / std::chrono::minutes(1), "minute");
}

}  // namespace

std::string validity_text(const Certificate& certificate, Certificate::Time now) {
  if (now < certificate.not_before) return "is not valid before " + date_text(certificate.not_before);
  if (now <= certificate.not_after) {
    return fmt::format("expires in {} ({})", span_text(certificate.not_after - now), date_text(certificate.not_after));
  }
  return fmt::format("expired {} ago ({})", span_text(now - certificate.not_after), date_text(certificate.not_after));
}

// --- certificates ---

bool Engine::check_pin(X509_STORE_CTX* store) const {
  X509* const leaf = X509_STORE_CTX_get0_cert(store);
  return leaf != nullptr && sha256_of(leaf) == client_->state->pin;
}

int Engine::verify(X509_STORE_CTX* store, void*) noexcept {
  auto* const ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  Engine& engine = of(ssl);
  try {
    if (engine.client_) {
      const Trust::Kind kind = engine.client_->state->options.trust.kind();
      if (kind == Trust::Kind::insecure_anyone) {
        X509_STORE_CTX_set_error(store, X509_V_OK);
        return 1;
      }
      if (kind == Trust::Kind::pinned) {
        if (engine.check_pin(store)) {
          X509_STORE_CTX_set_error(store, X509_V_OK);
          return 1;
        }
        engine.failure_kind_ = ErrorKind::certificate;
        engine.failure_ =
            "its certificate is not the pinned one: its SHA-256 is " + describe(X509_STORE_CTX_get0_cert(store)).sha256;
        X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
        return 0;
      }
    }
    if (engine.server_ && !engine.fits_into_ticket(X509_STORE_CTX_get0_cert(store))) {
      X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
      return 0;
    }
    X509_STORE_CTX_set_time(store, 0, wall_clock().time_since_epoch().count());
    int result = X509_verify_cert(store);
    if (result > 0 && engine.client_ && !engine.client_->host.empty() &&
        !matches(X509_STORE_CTX_get0_cert(store), engine.client_->host)) {
      const bool is_ip = is_address(engine.client_->host);
      X509_STORE_CTX_set_error(store, is_ip ? X509_V_ERR_IP_ADDRESS_MISMATCH : X509_V_ERR_HOSTNAME_MISMATCH);
      result = 0;
    }
    if (result <= 0) engine.describe_verification(store);
    return result > 0 ? 1 : 0;
  } catch (...) {
    X509_STORE_CTX_set_error(store, X509_V_ERR_OUT_OF_MEM);
    return 0;
  }
}

void Engine::describe_verification(X509_STORE_CTX* store) {
  const int reason = X509_STORE_CTX_get_error(store);
  X509* const at = X509_STORE_CTX_get_current_cert(store);
  X509* const leaf = X509_STORE_CTX_get0_cert(store);
  const Certificate own = leaf != nullptr ? describe(leaf) : Certificate{};
  const Certificate wrong = at != nullptr ? describe(at) : own;
  const int depth = X509_STORE_CTX_get_error_depth(store);
  const std::string which =
      depth == 0 ? fmt::format("the certificate of {}", own.first_name()) : fmt::format("the issuer {}", wrong.subject);
  const bool has_wildcard = std::ranges::any_of(own.names, [](const std::string& name) { return name.contains('*'); });
  failure_kind_ = ErrorKind::certificate;
  switch (reason) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      failure_ =
          own.names.empty() && own.addresses.empty()
              ? fmt::format("the certificate has no names (subjectAltName), you asked for {}", printable(client_->host))
              : fmt::format("the certificate is for {}, you asked for {}{}", own.names_text(), printable(client_->host),
                            has_wildcard ? "; a * stands for one label, with two behind it" : "");
      return;
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
      failure_ = fmt::format("{} {}", which, validity_text(wrong, wall_clock()));
      return;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
      failure_ =
          fmt::format("{} is self-signed; if it is the right one, trust it: its file as the CA file, or its SHA-256 {}",
                      which, own.sha256);
      return;
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      failure_ =
          fmt::format("the authority {} is not trusted; if it is the right one, trust it with its file as the CA file",
                      wrong.subject);
      return;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
      failure_ = fmt::format(
          "{} was issued by {}, which is not trusted; if it is the right one, trust it with its file as the CA file; "
          "or the {} does not send an intermediate certificate",
          which, wrong.issuer, client_ ? "server" : "client");
      return;
    case X509_V_ERR_INVALID_PURPOSE:
      failure_ = fmt::format("{} is not made for {} (extendedKeyUsage)", which, client_ ? "servers" : "clients");
      return;
    case X509_V_ERR_EE_KEY_TOO_SMALL:
    case X509_V_ERR_CA_KEY_TOO_SMALL:
      failure_ = fmt::format("the key of {} is too short: {}", which, wrong.key);
      return;
    case X509_V_ERR_CA_MD_TOO_WEAK:
      failure_ = fmt::format("{} has a weak signature: {}", which, wrong.signature);
      return;
    default: failure_ = fmt::format("{}: {}", which, X509_verify_cert_error_string(reason));
  }
}

// --- everything else ---

void Engine::describe_failure(int result) {
  failure_kind_ = ErrorKind::protocol;
  const unsigned long first = ERR_peek_error();
  const int reason = ERR_GET_REASON(first);
  if (ERR_GET_LIB(first) != ERR_LIB_SSL) {
    failure_ = openssl_reason();
    if (first == 0) failure_ = fmt::format("OpenSSL reports no reason ({})", SSL_get_error(ssl_.get(), result));
    return;
  }
  if (reason >= SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256) {
    const int alert = reason - SSL_AD_REASON_OFFSET;
    // Of TLS 1.2, when both sides have agreed on everything else.
    const bool wants_certificate = alert == 40 && !is_open_ && client_ && has_peer_certificate();
    const std::string_view advice = is_open_ && alert < 42 ? "" : alert_advice(alert);
    failure_ = fmt::format("the peer sent the alert {}{}", alert_name(alert),
                           wants_certificate ? ": it may require a client certificate" : advice);
    const bool is_about_certificate = (alert >= 42 && alert <= 48 && alert != 47) || alert == 116;
    if (is_about_certificate) failure_kind_ = ErrorKind::certificate;
    return;
  }
  switch (reason) {
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
      is_http_ = true;
      failure_ = "it speaks HTTP, not TLS";
      return;
    case SSL_R_WRONG_VERSION_NUMBER:
      failure_ = is_open_  ? "it sent a malformed record"
                 : client_ ? "it does not speak TLS; perhaps another port does"
                           : "it does not speak TLS";
      return;
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_WRONG_SSL_VERSION: failure_ = "no version of TLS in common"; return;
    case SSL_R_NO_SHARED_CIPHER: failure_ = "no cipher suite in common"; return;
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      failure_kind_ = ErrorKind::certificate;
      failure_ = "it sent no client certificate";
      return;
    case SSL_R_EXCESSIVE_MESSAGE_SIZE: failure_ = "it sent a message that is too long"; return;
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_ENCRYPTED_LENGTH_TOO_LONG:
    case SSL_R_DATA_LENGTH_TOO_LONG: failure_ = "it sent a record that is too long"; return;
    case SSL_R_RECORD_TOO_SMALL: failure_ = "it sends empty records without an end, or one that is too short"; return;
    case SSL_R_UNEXPECTED_MESSAGE:
    case SSL_R_UNEXPECTED_RECORD: failure_ = "it sent a message that is out of place"; return;
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
      failure_kind_ = ErrorKind::certificate;
      failure_ = X509_verify_cert_error_string(SSL_get_verify_result(ssl_.get()));
      return;
    case SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC: failure_ = "it sent a record that was changed on its way"; return;
    default: failure_ = openssl_reason();
  }
}

}  // namespace coax::tls
