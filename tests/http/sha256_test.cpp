// SHA-256: the examples of FIPS 180-4, and pieces.
#include "coax/http/sha256.hpp"

#include <gtest/gtest.h>

#include <string>

namespace coax::sha256_test {

TEST(Sha256, digests_are_those_of_the_standard) {
  http::Sha256 hash;
  EXPECT_EQ(hash.hexadecimal(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hash.base64(), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
  hash.update("a");
  hash.update("");
  hash.update("bc");
  EXPECT_EQ(hash.hexadecimal(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  hash.update("dbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq");
  http::Sha256 moved = std::move(hash);
  EXPECT_EQ(moved.hexadecimal(), "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

}  // namespace coax::sha256_test
