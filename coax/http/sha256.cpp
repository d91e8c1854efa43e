// SHA-256 of libcrypto, fed piece by piece.
#include "coax/http/sha256.hpp"

#include <openssl/evp.h>

#include "coax/base/error.hpp"
#include "coax/http/crypto_private.hpp"

namespace coax::http {

namespace {

struct FreeContext {
  void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_MD_CTX, FreeContext>;

void require(bool is_done) {
  if (!is_done) throw Error(ErrorKind::other, "compute", "SHA-256", "libcrypto failed");
}

}  // namespace

struct Sha256::State {
  Context context{EVP_MD_CTX_new()};

  [[nodiscard]] std::string digest() const {
    const Context copy(EVP_MD_CTX_new());
    std::string out(32, '\0');
    require(copy && EVP_MD_CTX_copy_ex(copy.get(), context.get()) == 1 &&
            EVP_DigestFinal_ex(copy.get(), reinterpret_cast<unsigned char*>(out.data()), nullptr) == 1);
    return out;
  }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  require(state_->context && EVP_DigestInit_ex(state_->context.get(), EVP_sha256(), nullptr) == 1);
}
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;
Sha256::~Sha256() = default;

void Sha256::update(BytesView bytes) {
  require(EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()) == 1);
}

std::string Sha256::hexadecimal() const { return encode_hexadecimal(state_->digest()); }
std::string Sha256::base64() const { return encode_base64(state_->digest()); }

}  // namespace coax::http
